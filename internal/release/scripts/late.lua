-- Brings stops forward whose time is up: they get a look now, if one can tell how they ended. Those whose confirmed time has
-- come are let out of the limits. Put after lane.lua.
--
-- KEYS  waiting:look, watched, latest, waiting:limited, waiting:held, waiting:stop, then the stop of each item
-- ARGV  now, for how long after its deadline a stop may wait for its last look (ms), then for each item: stop id, job id,
--       hop
local look, watched, latest = unpack(KEYS, 1, 3)
local lanes = {limited = KEYS[4], held = KEYS[5], [''] = KEYS[6]}
local now, grace = ARGV[1], tonumber(ARGV[2])

local function hasten(stop, id, job, hop)
  local f = redis.call('HMGET', stop, 'state', 'hop', 'kind', 'deadline', 'lane', 'meant_from', 'meant_till')
  if f[1] ~= 'pending' and f[1] ~= 'stopping' then
    redis.call('ZREM', latest, id)
    return
  elseif f[2] ~= hop then
    return
  end
  local deadline, limited, at = tonumber(f[4]), f[6] and (f[5] == 'limited' or f[5] == 'held'), tonumber(now)
  local till = deadline > at and deadline or deadline + grace
  if limited and tonumber(f[6]) > at then
    till = math.min(till, f[6])
  elseif limited and tonumber(f[7]) > at then
    rest(stop, id, lanes, '')
  end
  redis.call('ZADD', latest, till, id)
  local member = id .. ':' .. hop .. ':' .. job
  if f[3] == 'poll' and redis.call('ZSCORE', look, member) then
    redis.call('ZADD', look, 'XX', now, member)
  elseif f[3] == 'watch' then
    redis.call('ZREM', watched, job)
    local next_hop = string.format('%.0f', hop + 1)
    redis.call('HSET', stop, 'hop', next_hop, 'kind', 'poll', 'next', now)
    redis.call('ZADD', look, now, id .. ':' .. next_hop .. ':' .. job)
  end
end

for i = 7, #KEYS do
  hasten(KEYS[i], unpack(ARGV, 3 * i - 18, 3 * i - 16))
end
return 0
