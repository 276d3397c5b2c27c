-- Opens stops of one batch in one project, where no stop of the job is active.
--
-- KEYS  active, waiting:small, waiting:stop, state:pending, latest, batch, batch stops, ended, uncounted, control,
--       state:stopping, then the stop of each ask
-- ARGV  now, batch, how many stops of a batch are small, the endpoint that the jobs are at ("" if the producer does not
--       know), the kind of the first step (stop or shadow), then for each ask: stop id, job id, due, deadline, traceparent, labels, fault, 1 when the job was listed
--       (times in ms since the epoch; texts may be ""). One with a fault ends as rejected.
-- Returns for each ask what happened ("opened" a new stop, "known": asked for in this batch before, "join": another stop of
-- the job is active, nothing was done) and the id of the stop that serves it. If stops in flight are at another endpoint,
-- nothing is done, and the answer is "elsewhere" and that endpoint.
local active, small, large, pending, latest, batch, stops, ended, uncounted, control, stopping = unpack(KEYS, 1, 11)
local now, batch_id, few, endpoint, kind = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local at = redis.call('HGET', control, 'endpoint')
if at and redis.call('EXISTS', pending, stopping) == 0 then -- a worker that knows of none has ended the last stop
  at = redis.call('HDEL', control, 'endpoint') and nil
end
if endpoint ~= '' and at and at ~= endpoint then return {'elsewhere', at} end
local total = tonumber(redis.call('HGET', batch, 'total') or 0)
local before, opened, rejected, results = redis.call('ZCARD', pending), 0, 0, {}

local function open(stop, id, job, due, deadline, trace, labels, _, listed)
  -- Stops with one due time stand in the order of their asking, a microsecond apart (within a millisecond): Redis then
  -- mostly appends them, which costs half of putting them in by the order of their ids.
  local place = string.format('%.3f', due + (before + opened) % 1000 / 1000)
  local lane = total + opened < few and 'small' or ''
  redis.call('HSET', stop, 'job', job, 'batch', batch_id, 'state', 'pending', 'hop', 1, 'kind', kind, 'next', due,
    'asked', now, 'due', due, 'deadline', deadline, 'wishes', 1, 'wish:' .. batch_id,
    due .. ' ' .. deadline .. ' ' .. now .. ' ' .. labels)
  if lane ~= '' then redis.call('HSET', stop, 'lane', lane) end
  if listed ~= '' then redis.call('HSET', stop, 'listed', listed) end
  if trace ~= '' then redis.call('HSET', stop, 'trace', trace) end
  redis.call('HSET', active, job, id)
  redis.call('ZADD', lane ~= '' and small or large, place, id .. ':1:' .. job)
  redis.call('ZADD', pending, place, id)
  redis.call('ZADD', latest, deadline, id)
  redis.call('RPUSH', stops, id)
  opened = opened + 1
end

local function reject(stop, id, due, deadline, trace, fault)
  redis.call('HSET', stop, 'job', '', 'batch', batch_id, 'state', 'rejected', 'reason', fault, 'hop', 1, 'asked', now,
    'due', due, 'deadline', deadline, 'ended', now, 'trace', trace, 'wishes', 1,
    'wish:' .. batch_id, due .. ' ' .. deadline .. ' ' .. now .. ' ')
  redis.call('RPUSH', stops, id)
  redis.call('RPUSH', uncounted, id)
  rejected = rejected + 1
end

for i = 12, #KEYS do
  local a = 6 + (i - 12) * 8
  local id, job, fault = ARGV[a], ARGV[a + 1], ARGV[a + 6]
  local known = redis.call('HMGET', KEYS[i], 'state', 'served')
  local other = not known[1] and not known[2] and fault == '' and redis.call('HGET', active, job)
  local what, by = 'opened', id
  if known[1] or known[2] then
    what, by = 'known', known[2] or id
  elseif other then
    what, by = 'join', other
  elseif fault ~= '' then
    reject(KEYS[i], id, ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], fault)
  else
    open(KEYS[i], unpack(ARGV, a, a + 7))
  end
  results[#results + 1], results[#results + 2] = what, by
end

if opened > 0 and endpoint ~= '' then redis.call('HSET', control, 'endpoint', endpoint) end
if opened + rejected > 0 then
  redis.call('HSETNX', batch, 'created', now)
  redis.call('HINCRBY', batch, 'total', opened + rejected)
  redis.call('HINCRBY', batch, 'pending', opened)
  redis.call('HINCRBY', batch, 'rejected', rejected)
  local left = redis.call('HMGET', batch, 'pending', 'stopping')
  if tonumber(left[1]) + tonumber(left[2] or 0) > 0 then
    redis.call('HDEL', batch, 'ended')
    redis.call('ZREM', ended, batch_id)
  else
    redis.call('HSET', batch, 'ended', now)
    redis.call('ZADD', ended, now, batch_id)
  end
end
return results
