-- Notes that a worker lives, and tells what time it is and who else lives.
--
-- KEYS  workers (sorted set: worker by its last sign of life), clock (hash), heard (hash: worker by since when it has
--       been heard to listen at each of its beats)
-- ARGV  worker ("" to ask only), 1 when it leaves, for how long a worker may be silent (ms), for how long one may be
--       that listens on no connection, for how long all of them together are silent only when something keeps them from
--       beating (ms), what comes before a worker's id in the name of the channel on which it listens, what time it was
--       when the caller last heard it, what time it must be now (ms; 0: the caller can't tell)
-- Returns the fleet's time (microseconds), the shift in it, when the last worker fell silent (ms; 0: none of late), the
-- workers that live, 1 when all others are dead (those that were kept from beating have had the time to do it again),
-- when a worker was last seen, one that left among them (ms; 0: never), and by how much Redis' clock may have been set
-- forward since the caller last heard it, as nobody was heard for so long (ms).
--
-- The fleet's time is Redis' own plus a shift. When Redis' clock goes back (a failover), behind when a worker last beat
-- or left, the shift makes up for it. When it was set forward (correct.lua), nobody seems to have been heard for so
-- long: each such gap is noted for a minute, as the first to beat may not know better. The gaps that ended since a
-- caller last heard the time may be the jump that it meets. If it finds the time right, none of them was.
local workers, clock, heard = KEYS[1], KEYS[2], KEYS[3]
local me, leaves = ARGV[1], ARGV[2] == '1'
local silence, deserted, gap = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local told, expected = tonumber(ARGV[7]), tonumber(ARGV[8])
local t = redis.call('TIME')
local shift = tonumber(redis.call('HGET', clock, 'shift') or 0)
local now = t[1] * 1000 + t[2] / 1000 + shift
local latest = redis.call('ZREVRANGEBYSCORE', workers, '+inf', '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
local seen = math.max(tonumber(latest[2] or 0), tonumber(redis.call('HGET', clock, 'left') or 0))
if seen > now + 2000 then
  shift, now = math.floor(shift + seen - now + 0.5), seen -- '%.0f' would make "-0" of a little less than nothing
  redis.call('HSET', clock, 'shift', string.format('%.0f', shift))
end
local resumed = tonumber(redis.call('HGET', clock, 'resumed') or 0)
local noted, gaps = redis.call('HGET', clock, 'gaps') or '', {}
local right, unheard = told > 0 and now - expected <= silence, 0
for ended, long in string.gmatch(noted, '(%d+):(%d+)') do
  local since, fresh = tonumber(ended) > told, now - ended < 60000
  if since and fresh then unheard = unheard + long end
  if fresh and not (since and right) then gaps[#gaps + 1] = ended .. ':' .. long end
end
local long = seen > 0 and now - seen > gap and math.ceil(now - seen) or 0
unheard = right and 0 or unheard + long
if me ~= '' then
  if not latest[2] or now - tonumber(latest[2]) > gap or resumed > now then
    resumed = math.floor(now)
    redis.call('HSET', clock, 'resumed', string.format('%.0f', resumed))
    if long > 0 and not right then gaps[#gaps + 1] = string.format('%.0f:%.0f', resumed, long) end
  end
  gaps = table.concat(gaps, ' ')
  if gaps ~= noted then redis.call('HSET', clock, 'gaps', gaps) end
end

local function listens(w)
  local n = redis.pcall('PUBSUB', 'NUMSUB', ARGV[6] .. string.match(w, '^[^/]*'))
  return not n.err and tonumber(n[2]) > 0
end

if leaves then
  redis.call('ZREM', workers, me)
  redis.call('HDEL', heard, me)
  redis.call('HSET', clock, 'left', string.format('%.0f', now))
elseif me ~= '' then
  local before = redis.call('ZSCORE', workers, me)
  redis.call('ZADD', workers, string.format('%.3f', now), me)
  local forgotten = string.format('%.3f', now - 120000)
  for _, w in ipairs(redis.call('ZRANGEBYSCORE', workers, '-inf', forgotten, 'LIMIT', 0, 100)) do
    redis.call('ZREM', workers, w)
    redis.call('HDEL', heard, w)
  end
  -- One that has missed a beat itself has a new start: Redis may have been away for the others, too.
  if not before or now - before > 1500 then redis.call('HDEL', heard, me) end
  if listens(me) then redis.call('HSETNX', heard, me, string.format('%.0f', now)) else redis.call('HDEL', heard, me) end
  -- Redis learns at once that the connections of a killed process are gone: it counts as silent for the whole time. One
  -- that was never heard here although it lives (another node of a cluster, another version) is not judged by that, nor is
  -- anybody by one that was not heard itself a moment ago: Redis may have lost all connections.
  if now - tonumber(redis.call('HGET', heard, me) or now) >= gap then
    local silent, till = string.format('%.3f', now - silence), string.format('%.3f', now - deserted)
    for _, w in ipairs(redis.call('ZRANGEBYSCORE', workers, '(' .. silent, till, 'LIMIT', 0, 100)) do
      if redis.call('HEXISTS', heard, w) == 1 and not listens(w) then redis.call('ZADD', workers, silent, w) end
    end
  end
end
local fell = redis.call('ZREVRANGEBYSCORE', workers, string.format('%.3f', now - silence), '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
local alive = redis.call('ZREVRANGEBYSCORE', workers, '+inf', '(' .. string.format('%.3f', now - silence), 'LIMIT', 0, 1000)
local reliable = now - resumed >= silence and 1 or 0
return {math.floor(now * 1000), shift, tonumber(fell[2] or 0), alive, reliable, math.floor(seen), math.floor(unheard)}
