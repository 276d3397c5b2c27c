-- Ends a stop in flight. Of all callers exactly one gets 1; that one counts.
--
-- KEYS  stop, next, state:pending, state:stopping, batch, active, batch stops, batch joined, last stop of the job,
--       uncounted, watched, stop times, task pointer (optional)
-- ARGV  stop id, hop expected or "unsent", the outcome, nonce, retention (s), life of a task pointer (s), 1 to have a worker
--       count it, how long the job took to stop (ms; "" if not known), how many such times are kept, then field and
--       value pairs to save, the new state among them
-- Returns 1 when it moved, 0 when the stop is missing, ended or at another hop; for "unsent", when a stop call
-- may have gone out or be on its way. The same nonce gets the same answer again: a client that lost the answer
-- may repeat the call.
local stop, next, pending, stopping, batch, active, stops, joined, last, uncounted, watched, times, task = unpack(KEYS)
local id, expected, outcome, nonce, retention, pointer_life, tell, took, kept = unpack(ARGV, 1, 9)
local state, hop, job, mover, calling, unsure, kind = unpack(
  redis.call('HMGET', stop, 'state', 'hop', 'job', 'mover', 'calling', 'unsure', 'kind'))
local unsent = state == 'pending' and calling ~= hop and unsure ~= '1'
if (state ~= 'pending' and state ~= 'stopping') or (expected == 'unsent' and not unsent)
  or (expected ~= 'unsent' and hop ~= expected) then
  return mover == nonce and 1 or 0
end
redis.call('HSET', stop, 'mover', nonce, unpack(ARGV, 10))
if job ~= '' then
  if redis.call('HGET', active, job) == id then
    redis.call('HDEL', active, job)
  end
  local before = redis.call('SET', last, id, 'EX', retention, 'GET')
  if before then
    redis.call('HSET', stop, 'prev', before)
  end
end
redis.call('EXPIRE', stop, retention)
redis.call('ZREM', next, id)
if kind == 'watch' then
  redis.call('ZREM', watched, job)
end
if took ~= '' then
  redis.call('LPUSH', times, took)
  redis.call('LTRIM', times, 0, kept - 1)
end
redis.call('ZREM', state == 'pending' and pending or stopping, id)
local left = redis.call('HINCRBY', batch, state, -1)
redis.call('HINCRBY', batch, outcome, 1)
if left == 0 and tonumber(redis.call('HGET', batch, state == 'pending' and 'stopping' or 'pending') or 0) == 0 then
  redis.call('HSET', batch, 'ended', redis.call('HGET', stop, 'ended'))
  redis.call('EXPIRE', batch, retention)
  redis.call('EXPIRE', stops, retention)
  redis.call('EXPIRE', joined, retention)
end
if tell == '1' then
  redis.call('RPUSH', uncounted, id)
end
if task then
  redis.call('EXPIRE', task, pointer_life)
end
return 1
