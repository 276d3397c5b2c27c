-- Withdraws the wish of one batch from a stop. Put after close.lua and keep.lua.
--
-- KEYS  those of close.lua, then the stop and the batch
-- ARGV  now, stop id, batch, why
-- Returns what became of the wish:
--       canceled  withdrawn, now or before: no stop call goes out for it
--       sent      too late: the call has gone out or may have; no other call goes out
--       ended     the stop had an outcome before
--       missing   the stop has no such wish
local now, id, batch_id, why = unpack(ARGV)
local stop, batch = KEYS[18], KEYS[19]
local f = hash(stop)
f.hop, f.job = f.hop or '0', f.job or '' -- of a spoilt record
if not f.state or not f['wish:' .. batch_id] then
  return 'missing'
elseif f['void:' .. batch_id] or f.state == 'canceled' and not f['late:' .. batch_id] then
  return 'canceled'
elseif f.state ~= 'pending' and f.state ~= 'stopping' then
  return 'ended'
end

local left = wanted(f, limits, tonumber(now), batch_id)
local sent = f.state ~= 'pending' or f.unsure == '1' or f.calling and (f.calling == f.hop or f.hop == '0')
if not sent and not left.due and not left.late then
  redis.call('HSET', stop, 'state', 'canceled', 'reason', why, 'ended', now, 'next', '', 'mover', '', unpack(close(id, f)))
  count(batch, batch_id, 'pending', 'canceled')
  finally(now)
  redis.call('RPUSH', uncounted, id)
  return 'canceled'
elseif sent then
  redis.call('HSET', stop, 'late:' .. batch_id, why)
else
  redis.call('HSET', stop, 'void:' .. batch_id, now .. ' ' .. why)
  count(batch, batch_id, 'pending', 'canceled')
  finally(now)
end

redis.call('HINCRBY', stop, 'version', 1)
if left.due then
  keep(stop, id, now, {small = small, limited = limited, held = held, [''] = large, limits = limits, latest = latest,
    pending = pending}, '')
  return sent and 'sent' or 'canceled'
end
redis.call('HSET', stop, 'withdrawn', sent and why or left.late)
-- To see how it ends, a stop call that waits becomes a look, which neither a pause nor a limit holds back; the look of
-- a shadow stop waits no longer.
local member, lane = id .. ':' .. f.hop .. ':' .. f.job, lanes[f.lane] or large
if f.kind ~= 'poll' and redis.call('ZSCORE', lane, member) then
  if f.kind == 'stop' then
    redis.call('ZREM', lane, member)
    redis.call('HSET', stop, 'kind', 'poll', 'instead', f.calling or 0)
    lane = look
  end
  redis.call('HSET', stop, 'next', now)
  redis.call('ZADD', lane, now, member)
end
return sent and 'sent' or 'canceled'
