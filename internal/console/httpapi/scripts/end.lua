-- Gives an Idempotency-Key back, with the answer of its request if there is one.
--
-- KEYS  the key's record
-- ARGV  owner, answer ("": it failed), "keep" or "forget", life in seconds
local owner, answer, keep, life = unpack(ARGV)
if redis.call('HGET', KEYS[1], 'owner') ~= owner then return 0 end
if keep == 'forget' then
  redis.call('HDEL', KEYS[1], 'print', 'owner', 'until')
  return 1
end
redis.call('HDEL', KEYS[1], 'owner', 'until')
if answer ~= '' then redis.call('HSET', KEYS[1], 'answer', answer) end
redis.call('EXPIRE', KEYS[1], life)
return 1
