-- Ends the hold of a batch whose stops have all been confirmed, unless there are more than were seen, or more are to come.
--
-- KEYS  batch, limits, batch stops, waiting:held
-- ARGV  batch, how many stops of it were seen
-- The batch keeps how many there were: see state.lua.
-- Returns 1 when the batch is confirmed, 2 when it is and some stop of the project is held, 0 when more stops are to
-- come, -1 when there are more than were seen.
if #redis.call('LRANGE', KEYS[3], ARGV[2], ARGV[2]) > 0 then return -1 end
local size = redis.call('HMGET', KEYS[1], 'total', 'stated')
if tonumber(size[1] or 0) < tonumber(size[2] or 0) then return 0 end
redis.call('HSET', KEYS[1], 'confirmed', 1, 'allowed', size[1] or 0)
redis.call('HDEL', KEYS[2], 'held:' .. ARGV[1])
return redis.call('EXISTS', KEYS[4]) == 1 and 2 or 1
