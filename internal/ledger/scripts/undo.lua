-- Notes that a batch no longer wants the job of a stop stopped, or takes that back.
--
-- KEYS  the stop
-- ARGV  batch, now (ms; "" takes it back)
-- Returns 1 when the stop has a wish of that batch, 0 when nothing was done.
local stop, batch_id, now = KEYS[1], ARGV[1], ARGV[2]
if not redis.call('HGET', stop, 'wish:' .. batch_id) then
  return 0
elseif now == '' then
  redis.call('HDEL', stop, 'undone:' .. batch_id)
else
  redis.call('HSET', stop, 'undone:' .. batch_id, now)
end
return 1
