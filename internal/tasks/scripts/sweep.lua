-- Removes a task that asynq calls active although nobody holds a lease on it, or although its record or its message is
-- lost or spoilt: asynq itself looks at such a task late, or never again.
--
-- KEYS  task (hash), lease (sorted set), active (list)
-- ARGV  task id, since when a lease is too old (Unix s)
-- Returns 1 when it was there and is gone.
local state, msg = unpack(redis.pcall('HMGET', KEYS[1], 'state', 'msg')) -- both nil if it is no hash
local lease = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or 0)
if (state and state ~= 'active') or (msg and lease > tonumber(ARGV[2])) then
  return 0
end
local n = redis.call('LREM', KEYS[3], 0, ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return math.max(n, redis.call('DEL', KEYS[1]))
