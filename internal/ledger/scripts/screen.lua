-- Moves a project's screen from one hop to the next, or ends it when no stop is watched.
--
-- KEYS  screen, watched
-- ARGV  hop expected, nonce, when the next one is due (ms), retention (s), then field and value pairs to save
-- Returns 0 when it is at another hop, 1 when it moved, 2 when it ended. The same nonce gets the same answer again.
local screen, watched = unpack(KEYS)
local expected, nonce, due, retention = unpack(ARGV, 1, 4)
local hop, mover, on = unpack(redis.call('HMGET', screen, 'hop', 'mover', 'on'))
if (hop or '0') ~= expected then
  if mover ~= nonce then
    return 0
  end
  return on == '1' and 1 or 2
end
redis.call('HINCRBY', screen, 'hop', 1)
redis.call('HSET', screen, 'mover', nonce, unpack(ARGV, 5))
if redis.call('ZCARD', watched) == 0 then
  -- The hop stays: the next screen must not have the task id of one that just ends.
  redis.call('HSET', screen, 'on', 0)
  redis.call('EXPIRE', screen, retention)
  return 2
end
redis.call('HSET', screen, 'on', 1, 'due', due)
redis.call('PERSIST', screen)
return 1
