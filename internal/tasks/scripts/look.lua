-- Looks at one task the way asynq 0.26 keeps it.
--
-- KEYS  task (hash), lease (sorted set), pending (list)
-- ARGV  task id, since when a lease is too old (Unix s), how many of the tasks that are next are looked through, until when
--       a lease may last (Unix s): one of a clock that is ahead says nothing
-- Returns the task's state, "" when asynq could not deliver it (no record, one without a message, or it is called pending
-- and is not in the list), and 1 when somebody holds a lease on it.
local state, msg = unpack(redis.call('HMGET', KEYS[1], 'state', 'msg'))
local lease = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or 0)
local most = tonumber(ARGV[3])
if state == 'pending' and not redis.call('LPOS', KEYS[3], ARGV[1], 'RANK', -1, 'MAXLEN', most) and
  redis.call('LLEN', KEYS[3]) <= most then
  state = nil
end
return {state and msg and state or '', lease > tonumber(ARGV[2]) and lease <= tonumber(ARGV[4]) and 1 or 0}
