-- Keeps the options that a batch was first asked for with, and answers with those that it has.
--
-- KEYS  the record of the batch
-- ARGV  options, life in seconds
redis.call('HSETNX', KEYS[1], 'options', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.call('HGET', KEYS[1], 'options')
