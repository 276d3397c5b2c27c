-- Adds the wishes of a batch to stops that are active already. Put after lane.lua and confirm.lua.
--
-- KEYS  active, waiting:small, waiting:stop, state:pending, latest, batch, batch stops, ended, waiting:limited,
--       waiting:held, limits, then for each ask: the stop that serves it, and the stop that it would have been
-- ARGV  now, batch, the most wishes of a stop, how many stops of a batch are small, then for each ask: id of the stop that
--       serves it, id of the stop that it would have been, job id, due, deadline, labels, 1 when the job was listed, 1 when
--       somebody has confirmed the ask: no limit is for the stop from then on; 0 when none is all the same (times in ms;
--       texts may be "")
-- Returns what happened to each ask:
--       joined    the stop serves this wish too
--       known     it did so before
--       again     the stop has ended meanwhile: ask anew
--       full      the stop serves as many wishes as it may
local active, small, large, pending, latest, batch, stops, ended, limited, held, limits = unpack(KEYS, 1, 11)
local now, batch_id, most, few = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local lanes, results = {small = small, limited = limited, held = held, [''] = large}, {}

-- reschedule makes a stop due at another time. A step that only waits for its due time waits for that.
local function reschedule(stop, id, job, due)
  local f = redis.call('HMGET', stop, 'due', 'next', 'hop', 'lane', 'state', 'kind')
  redis.call('HSET', stop, 'due', due)
  if f[5] == 'pending' then redis.call('ZADD', pending, due, id) end
  local member, lane = id .. ':' .. f[3] .. ':' .. job, lanes[f[4]] or large
  if f[2] == f[1] and f[6] ~= 'poll' and redis.call('ZSCORE', lane, member) then
    redis.call('HSET', stop, 'next', due)
    redis.call('ZADD', lane, due, member)
  end
end

for i = 1, (#KEYS - 11) / 2 do
  local stop, own = KEYS[10 + 2 * i], KEYS[11 + 2 * i]
  local id, own_id, job, due, deadline, labels, listed, confirmed = unpack(ARGV, 8 * i - 3, 8 * i + 4)
  local f = redis.call('HMGET', stop, 'state', 'wishes', 'deadline', 'kind', 'wish:' .. batch_id, 'due', 'next', 'lane', 'batch')
  local what = 'joined'
  if f[5] then
    what = 'known'
  elseif redis.call('HGET', active, job) ~= id or not f[1] then
    what = 'again'
  elseif tonumber(f[2]) >= most then
    what = 'full'
  else
    redis.call('HSET', stop, 'wish:' .. batch_id, due .. ' ' .. deadline .. ' ' .. now .. ' ' .. labels)
    redis.call('HINCRBY', stop, 'wishes', 1)
    if listed ~= '' then redis.call('HSET', stop, 'listed', listed) end
    redis.call('HINCRBY', stop, 'version', 1)
    redis.call('HSET', own, 'served', id, 'job', job)
    local alone = redis.call('HDEL', stop, 'withdrawn') == 1 -- no other wish stands
    local limits_it = f[8] == 'limited' or f[8] == 'held'
    if confirmed == '' and (alone or limits_it and is_held(limits, f[9]) and not is_held(limits, batch_id)) then
      inherit(stop, id, batch_id, lanes, limits)
    end
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
  if confirmed ~= '' and (what == 'joined' or what == 'known') then
    confirm(stop, id, batch_id, lanes, tonumber(redis.call('HGET', batch, 'total') or 0) <= few and 'small' or '')
    if confirmed == '1' then redis.call('HSET', batch, 'confirmed', 1) end
  end
  results[#results + 1] = what
end
return results
