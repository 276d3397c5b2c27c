-- Keeps an Idempotency-Key for the request that has it.
--
-- KEYS  the key's record
-- ARGV  owner, until
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'until', ARGV[2])
return 1
