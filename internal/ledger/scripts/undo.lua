-- Notes that a batch no longer wants the job of a stop stopped, or takes that back, and counts what is restarted. Put
-- after lane.lua.
--
-- KEYS  the stop, the batch
-- ARGV  batch, now (ms), what to note:
--       restart   its job is about to be restarted. Nothing is noted if an undo has restarted it before, of whatever
--                 batch, or another batch wants it stopped
--       renounce  its job is left to another batch that wants it stopped, too. If none does, nothing is noted
--       done      the restart that this undo has noted is made
--       unanswered  the call of the restart that this undo has noted got no answer: it may have worked, and does not
--                 count
--       back      the restart that this undo has noted did not work: the batch wants it stopped again
--       and who undoes: an undo leaves alone what another one restarts
-- Returns what was found:
--       noted    it was noted, or there was nothing to note
--       wanted   to restart: another batch wants it stopped
--       alone    to renounce: no other batch wants it stopped
--       before   another undo has restarted it, or is about to
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

local function count(n)
  if redis.call('HGET', batch, 'created') then -- it is not forgotten
    redis.call('HINCRBY', batch, 'undone', n)
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

-- 'restarting' is there until the restart is done. Versions of before did not note it: what they noted counts as done.
local before = f.restarted or f[undone] and not f[renounced]
local own = f.restarted == batch_id and f.restarting == by
if before and not own then
  return 'before'
elseif what == 'done' and own then
  redis.call('HDEL', stop, 'restarting')
  if redis.call('HGET', batch, 'created') then redis.call('HSET', batch, 'undone_at', now) end
elseif what == 'unanswered' and own then
  redis.call('HSET', stop, 'restarting', by .. '?') -- it is nobody's any more
  count(-1)
elseif what == 'back' and own then
  redis.call('HDEL', stop, undone, 'restarted', 'restarting')
  count(-1)
elseif what == 'restart' and not own then
  if wanted_besides() then
    return 'wanted'
  end
  redis.call('HDEL', stop, renounced)
  redis.call('HSET', stop, undone, now, 'restarted', batch_id, 'restarting', by)
  count(1)
end
return 'noted'
