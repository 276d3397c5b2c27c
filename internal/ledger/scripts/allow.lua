-- Ends the hold of a batch whose stops have all been confirmed.
--
-- KEYS  batch, limits
-- ARGV  batch
redis.call('HSET', KEYS[1], 'confirmed', 1)
return redis.call('HDEL', KEYS[2], 'held:' .. ARGV[1])
