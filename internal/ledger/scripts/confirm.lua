-- How a stop that nobody confirmed becomes one that somebody has. Put before the scripts that confirm stops.

-- confirm has a stop wait in another lane ("small" or "" for the large one) from now on. limits are the two lanes of stops
-- that nobody confirmed, by name. It returns 1, or 0 if the stop was confirmed before.
local function confirm(stop, id, limits, lane, set)
  local f = redis.call('HMGET', stop, 'lane', 'hop', 'job')
  local from = limits[f[1]]
  if not from then return 0 end
  if lane == '' then redis.call('HDEL', stop, 'lane') else redis.call('HSET', stop, 'lane', lane) end
  local member = id .. ':' .. f[2] .. ':' .. f[3]
  local due = redis.call('ZSCORE', from, member)
  if due then
    redis.call('ZREM', from, member)
    redis.call('ZADD', set, due, member)
  end
  return 1
end
