-- Notes that a worker lives, and tells what time it is and who else lives. Put after clock.lua.
--
-- KEYS  workers (sorted set: worker by its last sign of life), clock (hash), heard (hash: worker by since when it has
--       been heard to listen at each of its beats)
-- ARGV  worker ("" to ask only), 1 when it leaves, for how long a worker may be silent (ms), for how long one may be
--       that listens on no connection, for how long all of them together are silent only when something keeps them from
--       beating (ms), what comes before a worker's id in the name of the channel on which it listens, what time it was
--       when the caller last heard it, what time it must be now (ms; 0: the caller can't tell)
-- Returns the fleet's time (microseconds), the shift in it, when the last worker fell silent (ms; 0: none of late), the
-- workers that live, 1 when all others are dead (those that were kept from beating have had the time to do it again),
-- when a worker was last seen, one that left among them (ms; 0: never), by how much Redis' clock may have been set
-- forward since the caller last heard it, as nobody was heard for so long (ms), and 1 when nobody had been heard for
-- long until a moment ago, or still, though another worker had not left: that one may know better.
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
return {math.floor(now * 1000), shift, tonumber(fell[2] or 0), alive, reliable, math.floor(seen), math.floor(unheard),
  doubt}
