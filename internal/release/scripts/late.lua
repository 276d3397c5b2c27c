-- Looks after stops whose time is up: they get a look now, if one can tell how they ended. Those whose confirmed time
-- has come are let out of the limits. A stop call that is to be repeated, and has to wait for a person or a limit,
-- becomes a look: an earlier call may have worked by now. Put after lane.lua.
--
-- KEYS  waiting:look, watched, latest, waiting:limited, waiting:held, waiting:small, waiting:stop, control, then the
--       stop of each item
-- ARGV  now, for how long after its deadline a stop may wait for its last look (ms), after how long a stop call that
--       waits becomes a look (ms), "stops" when the fleet's stop calls are paused, then for each item: stop id, job id,
--       hop
local look, watched, latest = unpack(KEYS, 1, 3)
local lanes = {limited = KEYS[4], held = KEYS[5], small = KEYS[6], [''] = KEYS[7]}
local now, grace, gap = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local c = redis.call('HMGET', KEYS[8], 'paused', 'hold')
local paused = c[1] or ARGV[4] == 'stops'

-- look_instead makes the stop call that waits in a lane a look, if the stop's time is up, or the call is due and held
-- back by something that looks do not wait for, or waits for a wish that is due later: whoever wanted it sooner has
-- withdrawn. calling is the hop of the latest call. It reports whether it did.
local function look_instead(stop, lane, member, up, calling, wanted_at)
  local due = redis.call('ZSCORE', lanes[lane] or lanes[''], member)
  local held_back = paused or not c[2] and (lane == 'limited' or lane == 'held')
  local not_yet = tonumber(wanted_at or 0) > now and not c[2]
  if not due or not up and not not_yet and (tonumber(due) > now or not held_back) then return false end
  redis.call('ZREM', lanes[lane] or lanes[''], member)
  redis.call('HSET', stop, 'kind', 'poll', 'instead', calling or 0, 'next', ARGV[1])
  redis.call('ZADD', look, now, member)
  return true
end

local function hasten(stop, id, job, hop)
  local f = redis.pcall('HMGET', stop, 'state', 'hop', 'kind', 'deadline', 'lane', 'meant_from', 'meant_till',
    'unsure', 'calling', 'due')
  if f[1] ~= 'pending' and f[1] ~= 'stopping' then
    redis.call('ZREM', latest, id)
    return
  elseif f[2] ~= hop then
    return
  end
  local deadline, lane, member = tonumber(f[4]), f[5] or '', id .. ':' .. hop .. ':' .. job
  local up, limited = deadline <= now, f[6] and (lane == 'limited' or lane == 'held')
  local till = up and deadline + grace or deadline
  if limited and tonumber(f[6]) > now then
    till = math.min(till, f[6])
  elseif limited and tonumber(f[7]) > now then
    rest(stop, id, lanes, '')
    lane = ''
  end
  local again = f[3] == 'stop' and (f[1] == 'stopping' or f[8] == '1')
  if again and not look_instead(stop, lane, member, up, f[9], f[10]) and not up then
    till = math.min(till, now + gap)
  elseif f[3] == 'poll' and up and redis.call('ZSCORE', look, member) then
    redis.call('ZADD', look, 'XX', now, member)
  elseif f[3] == 'watch' then
    redis.call('ZREM', watched, job)
    local next_hop = string.format('%.0f', hop + 1)
    redis.call('HSET', stop, 'hop', next_hop, 'kind', 'poll', 'next', ARGV[1])
    redis.call('ZADD', look, now, id .. ':' .. next_hop .. ':' .. job)
  end
  redis.call('ZADD', latest, till, id)
end

for i = 9, #KEYS do
  hasten(KEYS[i], unpack(ARGV, 3 * i - 22, 3 * i - 20))
end
return 0
