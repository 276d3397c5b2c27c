-- How a task asks again for what another task of its batch has asked for. Put before join.lua.

-- renew has the wish of a batch ask for what a further task wants of a stop in flight, too: at the earlier due time,
-- until the later deadline. A task whose time is over asks for nothing sooner. A wish that was withdrawn stands again;
-- nobody has confirmed it since.
local function renew(stop, batch, batch_id, ended, now, due, deadline, confirmed)
  local f = redis.call('HMGET', stop, 'state', 'wish:' .. batch_id, 'void:' .. batch_id, 'late:' .. batch_id)
  local first, last, rest = f[2]:match('^(%-?%d+) (%-?%d+)(.*)$')
  if f[3] or f[4] then
    last = deadline -- nobody asks any more for what was withdrawn
  elseif tonumber(deadline) <= tonumber(now) then
    due = first or due
  end
  redis.call('HSET', stop, 'wish:' .. batch_id,
    string.format('%.0f %.0f', math.min(first or due, due), math.max(last or deadline, deadline)) .. (rest or ' 0 '))
  if f[3] or f[4] then
    redis.call('HDEL', stop, 'void:' .. batch_id, 'late:' .. batch_id, 'meant:' .. batch_id, 'withdrawn')
  end
  if confirmed ~= '' then redis.call('HSET', stop, 'meant:' .. batch_id, 1) end
  redis.call('HINCRBY', stop, 'version', 1)
  if f[3] then -- it counts as in flight again
    redis.call('HINCRBY', batch, 'canceled', -1)
    redis.call('HINCRBY', batch, f[1], 1)
    redis.call('HDEL', batch, 'ended')
    redis.call('ZREM', ended, batch_id)
  end
end
