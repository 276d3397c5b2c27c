-- Removes a task that asynq calls active although nobody holds a lease on it, or whose record or message is lost or
-- spoilt, whatever asynq calls it: asynq itself looks at such a task late, or never again.
--
-- KEYS  task (hash), active (list), lease, scheduled, retry, archived (sorted sets)
-- ARGV  task id, since when a lease is too old (Unix s)
-- Returns 1 when it was there and is gone.
local state, msg = unpack(redis.pcall('HMGET', KEYS[1], 'state', 'msg')) -- both nil if it is no hash
local lease = tonumber(redis.call('ZSCORE', KEYS[3], ARGV[1]) or 0)
local readable = msg and string.find(msg, ARGV[1], 1, true) -- a message has its task's id in it
if (readable and state and state ~= 'active') or (msg and lease > tonumber(ARGV[2])) then
  return 0
end
local lock = redis.pcall('HGET', KEYS[1], 'unique_key') -- asynq.Unique, in the same slot
local locks = string.sub(KEYS[1], 1, -#ARGV[1] - 3) .. 'unique:' -- any other key is none of asynq's
if type(lock) == 'string' and string.sub(lock, 1, #locks) == locks and redis.pcall('GET', lock) == ARGV[1] then
  redis.call('DEL', lock)
end
local n = redis.call('LREM', KEYS[2], 0, ARGV[1]) + redis.call('DEL', KEYS[1])
for i = 3, #KEYS do
  n = n + redis.call('ZREM', KEYS[i], ARGV[1])
end
return math.min(n, 1)
