-- Adds the wishes of a batch to stops that are active already. Put after hold.lua, keep.lua, confirm.lua and
-- renew.lua. A batch that brings more stops than it stated is held.
--
-- KEYS  active, waiting:small, waiting:stop, state:pending, latest, batch, batch stops, ended, waiting:limited,
--       waiting:held, limits, then for each ask: the stop that serves it, and the stop that it would have been
-- ARGV  now, batch, the most wishes of a stop, how many stops of a batch are small, a nonce of this call, for how long
--       (s) it is noted which stop serves another task for a wish that was known ("": the batch is not one of foreign
--       tasks), then for each ask: id of the stop that serves it, id of the stop that it would have been, job id, due,
--       deadline, labels, 1 when the job was listed, 1 when somebody has confirmed the ask; 0 when no limit is for it
--       all the same (times in ms; texts may be "")
-- Returns what happened to each ask:
--       joined    the stop serves this wish too
--       known     it did so before; what another task wants is added to its wish
--       again     the stop has ended meanwhile: ask anew
--       full      the stop serves as many wishes as it may
local active, small, large, pending, latest, batch, stops, ended, limited, held, limits = unpack(KEYS, 1, 11)
local now, batch_id, most, few, nonce, life = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6]
local results = {}
local again = was_made(redis.call('HGET', batch, 'nonce'), nonce) -- the answer got lost, and the client asks once more
local k = {small = small, limited = limited, held = held, [''] = large, limits = limits, latest = latest, pending = pending}

for i = 1, (#KEYS - 11) / 2 do
  local stop, own = KEYS[10 + 2 * i], KEYS[11 + 2 * i]
  local id, own_id, job, due, deadline, labels, listed, confirmed = unpack(ARGV, 8 * i - 1, 8 * i + 6)
  local f = redis.pcall('HMGET', stop, 'state', 'wishes', 'wish:' .. batch_id)
  local what = 'joined'
  -- Another task of the day asks for it. This one is remembered, too; no list of the batch has the note.
  local another = f[3] and life ~= '' and own ~= stop and redis.call('EXISTS', own) == 0
  if f[3] and not another then
    what = 'known'
  elseif redis.call('HGET', active, job) ~= id then
    what = 'again'
  elseif f[1] ~= 'pending' and f[1] ~= 'stopping' then -- it is lost, or its record was damaged
    what = 'again'
    redis.call('HDEL', active, job)
  elseif another then
    what = 'renewed'
    renew(stop, batch, batch_id, ended, now, due, deadline, confirmed)
    redis.call('HSET', own, 'served', id, 'job', job)
    redis.call('EXPIRE', own, life)
  elseif tonumber(f[2]) >= most then
    what = 'full'
  else
    redis.call('HSET', stop, 'wish:' .. batch_id, due .. ' ' .. deadline .. ' ' .. now .. ' ' .. labels)
    redis.call('HINCRBY', stop, 'wishes', 1)
    if listed ~= '' then redis.call('HSET', stop, 'listed', listed) end
    redis.call('HINCRBY', stop, 'version', 1)
    if own ~= stop then redis.call('HSET', own, 'served', id, 'job', job) end
    redis.call('HDEL', stop, 'withdrawn') -- no other wish stood
    if confirmed ~= '' then redis.call('HSET', stop, 'meant:' .. batch_id, 1) end
    redis.call('RPUSH', stops, own_id)
    redis.call('HSETNX', batch, 'created', now)
    made(batch, nonce)
    local total = redis.call('HINCRBY', batch, 'total', 1)
    local stated = confirmed == '' and redis.call('HGET', batch, 'stated')
    if stated and total > tonumber(stated) then hold_larger(limits, batch_id, now, stated) end
    redis.call('HINCRBY', batch, 'joined', 1)
    redis.call('HINCRBY', batch, f[1], 1)
    redis.call('HDEL', batch, 'ended')
    redis.call('ZREM', ended, batch_id)
  end
  local lane = tonumber(redis.call('HGET', batch, 'total') or 0) <= few and 'small' or ''
  if what == 'joined' or what == 'renewed' then
    keep(stop, id, now, k, lane)
  elseif what == 'known' and confirmed ~= '' then
    confirm(stop, id, batch_id, now, k, lane)
  end
  if confirmed == '1' and (what == 'joined' or what == 'known') then redis.call('HSET', batch, 'confirmed', 1) end
  if what == 'known' and again and f[3]:match('^%S+ %S+ (%S+)') == now then what = 'joined' end
  results[#results + 1] = what == 'renewed' and 'known' or what
end
return results
