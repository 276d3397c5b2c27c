-- Brings stops forward whose time is up: they get a look now, if one can tell how they ended.
--
-- KEYS  waiting:look, watched, latest, then the stop of each item
-- ARGV  now, for how long after its deadline a stop may wait for its last look (ms), then for each item: stop id, job id,
--       hop
local look, watched, latest = unpack(KEYS, 1, 3)
local now, grace = ARGV[1], tonumber(ARGV[2])

local function hasten(stop, id, job, hop)
  local f = redis.call('HMGET', stop, 'state', 'hop', 'kind', 'deadline')
  if f[1] ~= 'pending' and f[1] ~= 'stopping' then
    redis.call('ZREM', latest, id)
    return
  elseif f[2] ~= hop then
    return
  end
  local deadline = tonumber(f[4])
  redis.call('ZADD', latest, deadline > tonumber(now) and deadline or deadline + grace, id)
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

for i = 4, #KEYS do
  hasten(KEYS[i], unpack(ARGV, 3 * i - 9, 3 * i - 7))
end
return 0
