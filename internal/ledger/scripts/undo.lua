-- Notes that a batch no longer wants the job of a stop stopped, or takes that back, and counts what is restarted. Put
-- after lane.lua.
--
-- KEYS  the stop, the batch
-- ARGV  batch, now (ms), what to note:
--       restart   its job is about to be restarted
--       renounce  its job is left to another batch that wants it stopped, too. If none does, nothing is noted
--       back      a restart did not work: the batch wants it stopped again
--       and who undoes: another undo of the same batch leaves alone what this one restarts
-- Returns what was found:
--       noted    it was noted
--       alone    to renounce: no other batch wants it stopped
--       before   to restart, or back: another undo of the batch has restarted it, or is about to; nothing is noted
--       missing  the stop has no wish of that batch
local stop, batch, batch_id, now, what, by = KEYS[1], KEYS[2], unpack(ARGV, 1, 4)
local undone, renounced = 'undone:' .. batch_id, 'renounced:' .. batch_id
local f = hash(stop)
if not f['wish:' .. batch_id] then
  return 'missing'
end

local function wanted_besides()
  for name in pairs(f) do
    local other = string.match(name, '^wish:(.+)$')
    if other and other ~= batch_id and not (f['void:' .. other] or f['late:' .. other] or f['undone:' .. other]) then
      return true
    end
  end
end

if what == 'renounce' then
  if not wanted_besides() then
    return 'alone'
  end
  redis.call('HSETNX', stop, undone, now)
  if f.restarted ~= batch_id then -- of a mark without the name, too: earlier versions had no other
    redis.call('HSET', stop, renounced, 1)
  end
  return 'noted'
end

local before = f[undone] and not f[renounced] -- it counts as restarted
if before and f.restarter ~= by then
  return 'before'
end
redis.call('HDEL', stop, renounced)
if what == 'restart' then
  redis.call('HSET', stop, undone, now, 'restarted', batch_id, 'restarter', by)
else
  redis.call('HDEL', stop, undone)
  if f.restarted == batch_id then redis.call('HDEL', stop, 'restarted', 'restarter') end
end
if redis.call('HGET', batch, 'created') then -- it is not forgotten
  local after = what == 'restart'
  redis.call('HINCRBY', batch, 'undone', (after and 1 or 0) - (before and 1 or 0))
  if after then redis.call('HSET', batch, 'undone_at', now) end
end
return 'noted'
