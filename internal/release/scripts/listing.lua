-- Keeps a list check from having company until a page must have come. One that has it already changes nothing.
--
-- KEYS  control
-- ARGV  number of the check, by when the page must have come (ms)
local list = redis.call('HMGET', KEYS[1], 'list_check', 'list_at')
if list[1] == ARGV[1] and tonumber(list[2] or 0) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'list_at', ARGV[2])
end
return 0
