-- Looks at one task the way asynq 0.26 keeps it.
--
-- KEYS  task (hash), lease (sorted set)
-- ARGV  task id
-- Returns the task's state, "" when asynq could not deliver it (no record, or one without a message), and 1 when
-- somebody holds a lease on it.
local state, msg = unpack(redis.call('HMGET', KEYS[1], 'state', 'msg'))
return {state and msg and state or '', redis.call('ZSCORE', KEYS[2], ARGV[1]) and 1 or 0}
