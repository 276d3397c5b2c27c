-- Withdraws the wish of one batch from a stop. Put after close.lua and lane.lua.
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
local f, list = {}, redis.call('HGETALL', stop)
for i = 1, #list, 2 do
  f[list[i]] = list[i + 1]
end
if not f.state or not f['wish:' .. batch_id] then
  return 'missing'
elseif f['void:' .. batch_id] or f.state == 'canceled' and not f['late:' .. batch_id] then
  return 'canceled'
elseif f.state ~= 'pending' and f.state ~= 'stopping' then
  return 'ended'
end

-- What the wishes that are left ask for. One that was withdrawn too late asks for nothing.
local due, deadline, late, meant
local standing = {}
for name, value in pairs(f) do
  local other = string.match(name, '^wish:(.+)$')
  if f['late:' .. (other or '')] and other ~= batch_id then
    late = f['late:' .. other]
  elseif other and other ~= batch_id and not f['void:' .. other] then
    standing[#standing + 1], meant = other, meant or f['meant:' .. other]
    local d, l = string.match(value, '^(%d+) (%d+)')
    due = math.min(due or tonumber(d), tonumber(d))
    deadline = math.max(deadline or 0, tonumber(l))
  end
end

local sent = f.state ~= 'pending' or f.calling == f.hop or f.unsure == '1'
if not sent and not due and not late then
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

-- await has a stop call, or the look of a shadow stop, that waits do so until another time; or until a look, where a limit
-- may let no call out.
local function await(till, looked)
  local member, lane = id .. ':' .. f.hop .. ':' .. f.job, lanes[f.lane] or large
  if f.kind == 'poll' or not redis.call('ZSCORE', lane, member) then return end
  redis.call('HSET', stop, 'next', till, 'kind', looked and 'poll' or f.kind)
  if looked then redis.call('ZREM', lane, member) end
  redis.call('ZADD', looked and look or lane, till, member)
end

redis.call('HINCRBY', stop, 'version', 1)
if not due then
  redis.call('HSET', stop, 'withdrawn', sent and why or late)
  await(now, lanes[f.lane] and f.lane ~= 'small') -- to see how it ends
  return sent and 'sent' or 'canceled'
end
if not meant then -- what its limits are is no longer this batch's to say
  lanes[''] = large
  f.lane = inherit(stop, id, heir(f, standing, limits), lanes, limits)
end
local text = string.format('%.0f', due)
redis.call('HSET', stop, 'due', text, 'deadline', string.format('%.0f', deadline))
redis.call('ZADD', latest, f.kind == 'watch' and math.min(deadline, f.next) or deadline, id)
if f.state == 'pending' then redis.call('ZADD', pending, text, id) end
if f.next == f.due then await(text) end
return sent and 'sent' or 'canceled'
