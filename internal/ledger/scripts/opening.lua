-- How a stop is recorded. Put before open.lua.
--
-- The keys stand first in KEYS.
local active, small, large, pending, latest, batch, stops, ended, uncounted, control, stopping, limited, held, limits =
  unpack(KEYS, 1, 14)
local now, batch_id, few, endpoint, shared, kind, nonce = ARGV[1], ARGV[2], tonumber(ARGV[3]), unpack(ARGV, 4, 7)
local size = redis.call('HMGET', batch, 'total', 'stated', 'nonce')
local again = size[3] == nonce -- the answer got lost, and the client asks once more
local total, stated = tonumber(size[1] or 0), tonumber(size[2] or math.huge)
local before, opened, rejected = redis.call('ZCARD', pending), 0, 0
local sets = {small = small, limited = limited, held = held, [''] = large, limits = limits, latest = latest, pending = pending}
local batch_held -- whether it is; nil: nobody has looked

-- laneOf is where the next stop waits. One that nobody confirmed is let out by the window limit; one of a held batch by
-- nobody. A batch that brings more stops than it stated is held.
local function laneOf(confirmed)
  if confirmed ~= '' then return total + opened < few and 'small' or '' end
  if total + opened >= stated and not batch_held then
    hold_larger(limits, batch_id, now, size[2])
    batch_held = true
  end
  if batch_held == nil then batch_held = is_held(limits, batch_id) end
  return batch_held and 'held' or 'limited'
end

local function open(stop, id, job, due, deadline, trace, labels, _, listed, confirmed)
  -- Stops with one due time stand in the order of their asking, a microsecond apart (within a millisecond): Redis then
  -- mostly appends them, which costs half of putting them in by the order of their ids.
  local place = string.format('%.3f', due + (before + opened) % 1000 / 1000)
  local lane = laneOf(confirmed)
  redis.call('HSET', stop, 'job', job, 'batch', batch_id, 'state', 'pending', 'hop', 1, 'kind', kind, 'next', due,
    'asked', now, 'due', due, 'deadline', deadline, 'wishes', 1, 'wish:' .. batch_id,
    due .. ' ' .. deadline .. ' ' .. now .. ' ' .. labels)
  if lane ~= '' then redis.call('HSET', stop, 'lane', lane) end
  if confirmed ~= '' then redis.call('HSET', stop, 'meant:' .. batch_id, 1) end
  if listed ~= '' then redis.call('HSET', stop, 'listed', listed) end
  if trace ~= '' then redis.call('HSET', stop, 'trace', trace) end
  redis.call('HSET', active, job, id)
  redis.call('ZADD', sets[lane], place, id .. ':1:' .. job)
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
