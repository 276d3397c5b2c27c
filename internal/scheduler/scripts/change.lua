-- Replaces a record unless somebody has changed it since it was read, and keeps results of ticks beside it.
--
-- KEYS  record (hash with the field record), results (list, newest first; left out where there are none)
-- ARGV  the record as it was read ("": there was none), the record as it becomes, how many results are kept, results,
--       the oldest first
-- Returns 1 if the record is now as it was to become, or was so already (a repeat, because the answer was lost), else 0.
local found = redis.call('HGET', KEYS[1], 'record') or ''
if found == ARGV[2] then
  return 1
end
if found ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'record', ARGV[2])
for i = 4, #ARGV do
  redis.call('LPUSH', KEYS[2], ARGV[i])
end
if #ARGV > 3 then
  redis.call('LTRIM', KEYS[2], 0, ARGV[3] - 1)
end
return 1
