-- Adds the wishes of a batch to stops that are active already.
--
-- KEYS  active, waiting:small, waiting:stop, state:pending, latest, batch, batch stops, ended, then for each ask: the
--       stop that serves it, and the stop that it would have been
-- ARGV  now, batch, the most wishes of a stop, then for each ask: id of the stop that serves it, id of the stop that it
--       would have been, job id, due, deadline, labels, 1 when the job was listed (times in ms; texts may be "")
-- Returns what happened to each ask:
--       joined    the stop serves this wish too
--       known     it did so before
--       again     the stop has ended meanwhile: ask anew
--       full      the stop serves as many wishes as it may
local active, small, large, pending, latest, batch, stops, ended = unpack(KEYS, 1, 8)
local now, batch_id, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local results = {}

-- reschedule makes a stop due at another time. A step that only waits for its due time waits for that.
local function reschedule(stop, id, job, due)
  local f = redis.call('HMGET', stop, 'due', 'next', 'hop', 'lane', 'state')
  redis.call('HSET', stop, 'due', due)
  if f[5] == 'pending' then redis.call('ZADD', pending, due, id) end
  local member, lane = id .. ':' .. f[3] .. ':' .. job, f[4] and small or large
  if f[2] == f[1] and redis.call('ZSCORE', lane, member) then
    redis.call('HSET', stop, 'next', due)
    redis.call('ZADD', lane, due, member)
  end
end

for i = 1, (#KEYS - 8) / 2 do
  local stop, own = KEYS[7 + 2 * i], KEYS[8 + 2 * i]
  local id, own_id, job, due, deadline, labels, listed = unpack(ARGV, 7 * i - 3, 7 * i + 3)
  local f = redis.call('HMGET', stop, 'state', 'wishes', 'deadline', 'kind', 'wish:' .. batch_id, 'due', 'next')
  local what = 'joined'
  if redis.call('HGET', active, job) ~= id or not f[1] then
    what = 'again'
  elseif f[5] then
    what = 'known'
  elseif tonumber(f[2]) >= most then
    what = 'full'
  else
    redis.call('HSET', stop, 'wish:' .. batch_id, due .. ' ' .. deadline .. ' ' .. now .. ' ' .. labels)
    redis.call('HINCRBY', stop, 'wishes', 1)
    if listed ~= '' then redis.call('HSET', stop, 'listed', listed) end
    redis.call('HINCRBY', stop, 'version', 1)
    redis.call('HSET', own, 'served', id, 'job', job)
    local alone = redis.call('HDEL', stop, 'withdrawn') == 1 -- no other wish stands
    if alone or tonumber(deadline) > tonumber(f[3]) then
      redis.call('HSET', stop, 'deadline', deadline)
      redis.call('ZADD', latest, f[4] == 'watch' and math.min(deadline, f[7]) or deadline, id)
    end
    if alone or tonumber(due) < tonumber(f[6]) then reschedule(stop, id, job, due) end
    redis.call('RPUSH', stops, own_id)
    redis.call('HSETNX', batch, 'created', now)
    redis.call('HINCRBY', batch, 'total', 1)
    redis.call('HINCRBY', batch, 'joined', 1)
    redis.call('HINCRBY', batch, f[1], 1)
    redis.call('HDEL', batch, 'ended')
    redis.call('ZREM', ended, batch_id)
  end
  results[#results + 1] = what
end
return results
