-- Opens stops of one batch in one project, where no stop of the job is active. Put after gather.lua,
-- hold.lua, keep.lua, confirm.lua and opening.lua.
--
-- KEYS  active, waiting:small, waiting:stop, state:pending, latest, batch, batch stops, ended, uncounted, control,
--       state:stopping, waiting:limited, waiting:held, limits, then the stop of each ask
-- ARGV  now, batch, how many stops of a batch are small, the endpoint that the jobs are at ("" if the producer does not
--       know), 1 when producers who know nothing of each other share the batch, the kind of the first step (stop or shadow),
--       a nonce of this call, then for each ask: stop id, job id, due, deadline, traceparent, labels, fault, 1 when the job
--       was listed, 1 when somebody has confirmed it, 0 when no limit is for it all the same (times in ms since the epoch;
--       texts may be ""). One with a fault ends as rejected.
-- Returns for each ask what happened ("opened" a new stop, "known": asked for in this batch before, "join": another stop of
-- the job is active, or serves what is confirmed only now; nothing was done; "taken": the id stands for a stop of
-- others that has ended, ask by another one) and the id of the stop that serves it. If
-- stops in flight are at another endpoint, nothing is done, and the answer is "elsewhere" and that endpoint.
local at = redis.call('HGET', control, 'endpoint')
if at and redis.call('EXISTS', pending, stopping) == 0 then -- a worker that knows of none has ended the last stop
  at = redis.call('HDEL', control, 'endpoint') and nil
end
if endpoint ~= '' and at and at ~= endpoint then return {'elsewhere', at} end
local results, meant = {}, false

-- Most asks are new: one command tells so of all, and one which jobs have an active stop.
local unknown, jobs, taken, here = redis.call('EXISTS', unpack(KEYS, 15)) == 0, {}, {}, {}
for i = 15, #KEYS do jobs[i - 14] = ARGV[9 + (i - 15) * 9] end
local found = redis.call('HMGET', active, unpack(jobs))
for i = 1, #jobs do taken[jobs[i]] = found[i] end

for i = 15, #KEYS do
  local a = 8 + (i - 15) * 9
  local id, job, fault, confirmed = ARGV[a], ARGV[a + 1], ARGV[a + 6], ARGV[a + 8]
  local known = unknown and not here[id] and {}
    or redis.call('HMGET', KEYS[i], 'state', 'served', 'asked', 'wish:' .. batch_id, 'wishes')
  local other = not known[1] and not known[2] and fault == '' and taken[job]
  local what, by = 'opened', id
  meant = meant or confirmed == '1'
  if again and known[3] == now then
    what = 'opened'
  elseif known[1] and known[5] and not known[4] and shared == '' then -- the batch was canceled, and forgotten since
    what = taken[job] == id and 'join' or 'taken'
  elseif known[1] or known[2] then
    what, by = 'known', known[2] or id
    if known[2] and confirmed == '1' then
      what = 'join'
    elseif known[1] and confirmed ~= '' then
      flush()
      confirm(KEYS[i], id, batch_id, now, sets, '')
    end
  elseif other then
    what, by = 'join', other
  elseif fault ~= '' then
    reject(KEYS[i], id, ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], fault)
    here[id] = true
  else
    open(KEYS[i], unpack(ARGV, a, a + 8))
    taken[job], here[id] = id, true
  end
  results[#results + 1], results[#results + 2] = what, by
end
flush()

if opened > 0 and endpoint ~= '' then redis.call('HSET', control, 'endpoint', endpoint) end
if meant then redis.call('HSET', batch, 'confirmed', 1) end
if opened + rejected > 0 then
  if shared ~= '' then redis.call('HSET', batch, 'shared', shared) end
  redis.call('HSETNX', batch, 'created', now)
  made(batch, nonce)
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
