-- Opens stops of one batch in one project, where no stop of the job is active.
--
-- KEYS  active, waiting:small, waiting:stop, state:pending, latest, batch, batch stops, ended, then the stop of each ask
-- ARGV  now, batch, how many stops of a batch are small, then for each ask: stop id, job id, due, deadline,
--       traceparent, labels, reason (times in ms since the epoch; texts may be "")
-- Returns two values for each ask: what happened, and the id of the stop that serves it.
--       opened    a new stop
--       known     asked for in this batch before
--       join      another stop of the job is active: nothing was done
local active, small, large, pending, latest, batch, stops, ended = unpack(KEYS, 1, 8)
local now, batch_id, few = ARGV[1], ARGV[2], tonumber(ARGV[3])
local total = tonumber(redis.call('HGET', batch, 'total') or 0)
local before, opened, results = redis.call('ZCARD', pending), 0, {}

local function open(stop, id, job, due, deadline, trace, labels, reason)
  -- Stops with one due time stand in the order of their asking, a microsecond apart (within a millisecond): Redis then
  -- mostly appends them, which costs half of putting them in by the order of their ids.
  local place = string.format('%.3f', due + (before + opened) % 1000 / 1000)
  local lane = total + opened < few and 'small' or ''
  redis.call('HSET', stop, 'job', job, 'batch', batch_id, 'state', 'pending', 'hop', 1, 'kind', 'stop', 'next', due,
    'asked', now, 'due', due, 'deadline', deadline, 'wishes', 1, 'wish:' .. batch_id,
    due .. ' ' .. deadline .. ' ' .. now .. ' ' .. labels)
  if lane ~= '' then redis.call('HSET', stop, 'lane', lane) end
  if trace ~= '' then redis.call('HSET', stop, 'trace', trace) end
  if reason ~= '' then redis.call('HSET', stop, 'reason', reason) end
  if job ~= '' then redis.call('HSET', active, job, id) end
  redis.call('ZADD', lane ~= '' and small or large, place, id .. ':1:' .. job)
  redis.call('ZADD', pending, place, id)
  redis.call('ZADD', latest, deadline, id)
  redis.call('RPUSH', stops, id)
  opened = opened + 1
end

for i = 9, #KEYS do
  local a = 4 + (i - 9) * 7
  local id, job = ARGV[a], ARGV[a + 1]
  local known = redis.call('HMGET', KEYS[i], 'state', 'served')
  local other = not known[1] and not known[2] and job ~= '' and redis.call('HGET', active, job)
  local what, by = 'opened', id
  if known[1] or known[2] then
    what, by = 'known', known[2] or id
  elseif other then
    what, by = 'join', other
  else
    open(KEYS[i], unpack(ARGV, a, a + 6))
  end
  results[#results + 1], results[#results + 2] = what, by
end

if opened > 0 then
  redis.call('HSETNX', batch, 'created', now)
  redis.call('HINCRBY', batch, 'total', opened)
  redis.call('HINCRBY', batch, 'pending', opened)
  redis.call('HDEL', batch, 'ended')
  redis.call('ZREM', ended, batch_id)
end
return results
