-- Reads a stop for the task of one hop. A claim for the stop call is marked, so
-- that a second claim of the same hop knows that the first may have called.
--
-- KEYS  stop
-- ARGV  hop, kind
-- Returns the fields of the stop, as HGETALL does: empty when there is none.
local state, hop, kind, calling = unpack(redis.call('HMGET', KEYS[1], 'state', 'hop', 'kind', 'calling'))
local in_flight = state == 'pending' or state == 'stopping'
if in_flight and hop == ARGV[1] and kind == ARGV[2] and kind == 'stop' then
  if calling == hop then
    redis.call('HSET', KEYS[1], 'unsure', 1)
  else
    redis.call('HSET', KEYS[1], 'calling', hop)
  end
end
return redis.call('HGETALL', KEYS[1])
