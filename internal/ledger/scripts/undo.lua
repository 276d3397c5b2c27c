-- Notes that a batch no longer wants the job of a stop stopped, or takes that back, and counts it.
--
-- KEYS  the stop, the batch
-- ARGV  batch, now (ms; "" takes it back), 1 if its job is restarted (0: it is left, since another batch wants it
--       stopped)
-- Returns 1 when the stop has a wish of that batch, 0 when nothing was done.
local stop, batch, batch_id, now, counts = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
if not redis.call('HGET', stop, 'wish:' .. batch_id) then
  return 0
end
local field = 'undone:' .. batch_id
local before = redis.call('HGET', stop, field)
local more = 0
if now == '' then
  redis.call('HDEL', stop, field)
  more = before and -1 or 0
else
  redis.call('HSET', stop, field, now)
  more = before and 0 or 1
end
if counts == '1' and redis.call('HGET', batch, 'created') then -- it is not forgotten
  redis.call('HINCRBY', batch, 'undone', more)
  if now ~= '' then
    redis.call('HSET', batch, 'undone_at', now)
  end
end
return 1
