-- How a stop is recorded. Put after gather.lua and before open.lua.
--
-- The keys stand first in KEYS.
local active, small, large, pending, latest, batch, stops, ended, uncounted, control, stopping, limited, held, limits =
  unpack(KEYS, 1, 14)
local now, batch_id, few, endpoint, shared, kind, nonce = ARGV[1], ARGV[2], tonumber(ARGV[3]), unpack(ARGV, 4, 7)
local size = redis.call('HMGET', batch, 'total', 'stated', 'nonce')
local again = was_made(size[3], nonce) -- the answer got lost, and the client asks once more
local total, stated = tonumber(size[1] or 0), tonumber(size[2] or math.huge)
local opened, rejected = 0, 0
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
  -- The stops of a batch stand in the order of their asking, a microsecond apart (within 100 ms, or 1 where producers come
  -- one by one): Redis then mostly appends them, which costs half of putting them in by the order of their ids.
  local place = (total + opened) % (shared == '' and 100000 or 1000) / 1000
  local from, till = string.format('%.3f', due + place), string.format('%.3f', deadline + place)
  local lane = laneOf(confirmed)
  local fields = {'job', job, 'batch', batch_id, 'state', 'pending', 'hop', '1', 'kind', kind, 'next', due, 'asked', now,
    'due', due, 'deadline', deadline, 'wishes', '1', 'wish:' .. batch_id, due .. ' ' .. deadline .. ' ' .. now .. ' ' .. labels}
  local function has(field, value)
    fields[#fields + 1], fields[#fields + 2] = field, value
  end
  if lane ~= '' then has('lane', lane) end
  if confirmed ~= '' then has('meant:' .. batch_id, '1') end
  if listed ~= '' then has('listed', listed) end
  if trace ~= '' then has('trace', trace) end
  redis.call('HSET', stop, unpack(fields))
  gather('HSET', active, job, id)
  gather('ZADD', sets[lane], from, id .. ':1:' .. job)
  gather('ZADD', pending, from, id)
  gather('ZADD', latest, till, id)
  gather('RPUSH', stops, id)
  opened = opened + 1
end

local function reject(stop, id, due, deadline, trace, fault)
  redis.call('HSET', stop, 'job', '', 'batch', batch_id, 'state', 'rejected', 'reason', fault, 'hop', 1, 'asked', now,
    'due', due, 'deadline', deadline, 'ended', now, 'trace', trace, 'wishes', 1,
    'wish:' .. batch_id, due .. ' ' .. deadline .. ' ' .. now .. ' ')
  gather('RPUSH', stops, id)
  gather('RPUSH', uncounted, id)
  rejected = rejected + 1
end
