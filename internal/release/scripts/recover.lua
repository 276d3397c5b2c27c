-- Takes back released steps that nobody carries any more. A stop call that was marked comes back as a look, and so does
-- that of a stop that was withdrawn. Put after back.lua.
--
-- KEYS  control, waiting:small, waiting:stop, waiting:look, released, waiting:limited, waiting:held, then the stop of
--       each item
-- ARGV  now, then for each item: stop id, hop, job id, 1 when it is lost ("" when it is only to be looked after later)
-- Returns those that were taken back, as they stood in released.
local control, small, large, look, released, limited, held = unpack(KEYS, 1, 7)
local lanes = {small = small, limited = limited, held = held}
local now, taken = ARGV[1], {}
local probe = redis.call('HGET', control, 'probe')

local function recover(stop, id, hop, job, lost)
  local member = id .. ':' .. hop .. ':' .. job
  local f = redis.pcall('HMGET', stop, 'state', 'hop', 'kind', 'calling', 'lane', 'due', 'withdrawn')
  if (f[1] ~= 'pending' and f[1] ~= 'stopping') or f[2] ~= hop then
    if redis.call('ZREM', released, member) == 1 and probe == member then redis.call('HSET', control, 'probe_at', now) end
  elseif lost == '' then
    redis.call('ZADD', released, 'XX', now, member)
  elseif redis.call('ZREM', released, member) == 1 then
    local kind, next_hop = kind_back(stop, f[3], f[4] == hop, f[7], f[4]), string.format('%.0f', hop + 1)
    redis.call('HSET', stop, 'hop', next_hop, 'kind', kind, 'next', now)
    local set, at = look, now
    if kind == 'stop' then -- it keeps its place among those that wait
      set, at = lanes[f[5]] or large, math.min(now, tonumber(f[6] or now))
    end
    redis.call('ZADD', set, at, id .. ':' .. next_hop .. ':' .. job)
    if probe == member then redis.call('HSET', control, 'probe_at', now) end
    taken[#taken + 1] = member
  end
end

for i = 8, #KEYS do
  recover(KEYS[i], unpack(ARGV, 4 * i - 30, 4 * i - 27))
end
return taken
