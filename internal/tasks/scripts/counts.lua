-- Counts the tasks of a queue the way asynq 0.26 keeps them. Unlike asynq's own count it reads the record of no task but
-- one, and does without that: a task whose record is lost or spoilt must hide nothing.
--
-- KEYS  pending, active (lists), scheduled, retry, archived (sorted sets), groups (set)
-- ARGV  what the keys of tasks begin with, what the keys of groups (sorted sets) begin with
-- Returns how many tasks each of the first five has, how many are in groups, and since when the task that is next has been
-- ready (Unix ns), "0" if that is not known.
local counts = {redis.call('LLEN', KEYS[1]), redis.call('LLEN', KEYS[2])}
for i = 3, 5 do
  counts[i] = redis.call('ZCARD', KEYS[i])
end
counts[6] = 0
for _, group in ipairs(redis.call('SMEMBERS', KEYS[6])) do
  counts[6] = counts[6] + redis.call('ZCARD', ARGV[2] .. group)
end
counts[7] = '0'
local next = redis.call('LRANGE', KEYS[1], -1, -1)[1]
if next then
  local since = redis.pcall('HGET', ARGV[1] .. next, 'pending_since')
  if type(since) == 'string' then
    counts[7] = since
  end
end
return counts
