-- Moves a stop in flight from one hop to the next.
--
-- KEYS  stop, next, state:pending, state:stopping, batch
-- ARGV  stop id, hop expected, nonce, when the next task is due (ms), 1 when the task of the hop was lost, then
--       field and value pairs to save
-- With a lost task, a call that was marked may have gone out: the stop becomes unsure.
-- Returns 1 when it moved, 0 when the stop is missing, ended or at another hop. The same nonce gets the
-- same answer again: a client that lost the answer may repeat the call.
local stop, next, pending, stopping, batch = unpack(KEYS)
local id, expected, nonce, due, lost = unpack(ARGV, 1, 5)
local state, hop, asked_for, mover, calling = unpack(
  redis.call('HMGET', stop, 'state', 'hop', 'due', 'mover', 'calling'))
if (state ~= 'pending' and state ~= 'stopping') or hop ~= expected then
  return mover == nonce and 1 or 0
end
redis.call('HSET', stop, 'mover', nonce, unpack(ARGV, 6))
if lost == '1' and calling == hop then
  redis.call('HSET', stop, 'unsure', 1)
end
redis.call('ZADD', next, due, id)
local after = redis.call('HGET', stop, 'state')
if state == 'pending' and after == 'stopping' then
  redis.call('ZREM', pending, id)
  redis.call('ZADD', stopping, asked_for, id)
  redis.call('HINCRBY', batch, 'pending', -1)
  redis.call('HINCRBY', batch, 'stopping', 1)
end
return 1
