-- Looks at one task the way asynq 0.26 keeps it.
--
-- KEYS  task (hash), lease (sorted set)
-- ARGV  task id, since when a lease is too old (Unix s)
-- Returns the task's state, "" when asynq could not deliver it (no record, or one without a message), and 1 when
-- somebody holds a lease on it.
local state, msg = unpack(redis.call('HMGET', KEYS[1], 'state', 'msg'))
local lease = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or 0)
return {state and msg and state or '', lease > tonumber(ARGV[2]) and 1 or 0}
