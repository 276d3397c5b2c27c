-- Opens stops of one batch in one project, or joins those already active.
--
-- KEYS  active, next, state:pending, batch, batch stops, batch joined, then the stop key of each ask
-- ARGV  now, batch, retention (s), least time between the first tasks of a batch (ms; 0: none), then for each ask: stop id, job id, due, deadline, task pointer,
--       labels ("" for none), traceparent ("" for none)
--       (times in ms since the epoch)
-- Returns three values for each ask: what happened, the id of the stop that serves it, and when its first
-- task is due (ms).
--       opened    a new stop, whose first task is to be enqueued
--       waiting   this very stop exists and waits for its first task: enqueue it again, that is harmless
--       known     this very stop exists and is further on, or ended
--       joined    another stop of the job is active
local active, next, pending, batch, stops, joined = unpack(KEYS, 1, 6)
local now, batch_id, retention, gap = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local results = {}
local opened = 0
-- Stops with one due time stand in the order of their asking, a microsecond apart: Redis then appends them,
-- which costs half of putting them in by the order of their ids.
local before = redis.call('ZCARD', next)
-- A large batch does not flood the queue: its first tasks come at the pace of the API. paced is when the next may.
local paced = tonumber(redis.call('HGET', batch, 'paced') or 0)

for i = 7, #KEYS do
  local stop = KEYS[i]
  local a = 5 + (i - 7) * 7
  local id, job, due, deadline, task, labels, trace = unpack(ARGV, a, a + 6)
  local known = redis.call('HMGET', stop, 'state', 'hop', 'next')
  local first = due
  local what, served_by = 'opened', id
  if known[1] then
    what = (known[1] == 'pending' and known[2] == '1') and 'waiting' or 'known'
    first = known[3] or due
  else
    local other = redis.call('HGET', active, job)
    if other then
      what, served_by = 'joined', other
      redis.call('SADD', joined, other)
    else
      if gap > 0 then
        paced = math.max(paced, tonumber(due))
        first = string.format('%.0f', math.min(math.floor(paced), tonumber(deadline)))
        paced = paced + gap
      end
      redis.call('HSET', stop, 'job', job, 'batch', batch_id, 'state', 'pending', 'hop', 1,
        'kind', 'stop', 'next', first, 'asked', now, 'due', due, 'deadline', deadline)
      if task ~= '' then
        redis.call('HSET', stop, 'task', task)
      end
      if labels ~= '' then
        redis.call('HSET', stop, 'labels', labels)
      end
      if trace ~= '' then
        redis.call('HSET', stop, 'trace', trace)
      end
      if job ~= '' then
        redis.call('HSET', active, job, id)
      end
      local place = (before + opened) / 1000
      redis.call('ZADD', next, string.format('%.3f', first + place), id)
      redis.call('ZADD', pending, string.format('%.3f', due + place), id)
      redis.call('RPUSH', stops, id)
      opened = opened + 1
    end
  end
  results[#results + 1] = what
  results[#results + 1] = served_by
  results[#results + 1] = first
end

redis.call('HSETNX', batch, 'created', now)
if opened > 0 then
  redis.call('HINCRBY', batch, 'pending', opened)
  if gap > 0 then
    redis.call('HSET', batch, 'paced', string.format('%.3f', paced))
  end
end
-- A batch is kept for as long as one of its stops is in flight.
local left = redis.call('HMGET', batch, 'pending', 'stopping')
for _, key in ipairs({batch, stops, joined}) do
  if tonumber(left[1] or 0) + tonumber(left[2] or 0) > 0 then
    redis.call('PERSIST', key)
  else
    redis.call('EXPIRE', key, retention)
  end
end
return results
