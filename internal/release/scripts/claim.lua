-- Claims steps for the tasks that carry them. A claim of a stop call leaves a mark: whoever finds it after the worker has
-- died knows that the call may have gone out.
--
-- KEYS  control, waiting:small, waiting:stop, waiting:look, released, then the stop of each item
-- ARGV  now, worker, 1 when the fleet is held ("stops" when its stop calls are), the endpoint that this worker calls ("" for
--       any), then for each item: stop id, hop, job
--       id, kind of the task (stop or poll), nonce
-- Returns for each item
--       {0}            nothing to do: it is at another hop, claimed before, or not released
--       {1, stop, ill} it is this worker's; ill is 1 when calls of the project have failed lately, else 0
--       {2}            something holds it back, it is at another endpoint, or nobody wants it yet: it waits again
-- with the stop as HGETALL gives it. The same nonce gets the same answer again.
local control, small, large, look, released = unpack(KEYS, 1, 5)
local now, me, fleet, endpoint = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local c = redis.call('HMGET', control, 'paused', 'parked', 'hold', 'probe', 'failures', 'endpoint')
local elsewhere = endpoint ~= '' and c[6] and c[6] ~= endpoint
local parked, calls, answers = tonumber(c[2] or 0), 0, {}
local ill = (c[3] or c[5]) and 1 or 0

local function claim(stop, id, hop, job, kind, nonce)
  local list, f = redis.call('HGETALL', stop), {}
  for i = 1, #list, 2 do
    f[list[i]] = list[i + 1]
  end
  local member, mine = id .. ':' .. hop .. ':' .. job, hop .. ' ' .. nonce
  if (f.state ~= 'pending' and f.state ~= 'stopping') or f.hop ~= hop or f.kind ~= kind or not f.deadline then
    return {0}
  elseif f.claimed == mine then
    return {1, list, ill}
  elseif not redis.call('ZSCORE', released, member) or string.match(f.claimed or '', '^(%d+) ') == hop then
    return {0}
  end
  local later
  if elsewhere or fleet == '1' or c[4] ~= member and (parked > now or c[3]) or kind == 'stop' and (c[1] or fleet == 'stops') then
    later = math.max(now, math.min(parked, tonumber(f.deadline)))
  end
  if kind == 'stop' and not f.withdrawn and tonumber(f.due or 0) > now + 1000 then -- an earlier wish was withdrawn
    later = tonumber(f.due)
  end
  if later then
    local due, next_hop = string.format('%.0f', later), string.format('%.0f', hop + 1)
    gather('ZREM', released, member)
    gather('ZADD', kind == 'poll' and look or f.lane and small or large, due, id .. ':' .. next_hop .. ':' .. job)
    redis.call('HSET', stop, 'hop', next_hop, 'next', due)
    if c[4] == member then redis.call('HSET', control, 'probe_at', due) end
    return {2}
  end
  gather('ZADD', released, now, member)
  if kind == 'stop' and tonumber(f.deadline) > now and not f.withdrawn then
    redis.call('HSET', stop, 'worker', me, 'claimed', mine, 'calling', hop, 'marked', now)
    list[#list + 1], list[#list + 2] = 'marked', tostring(now)
  else
    redis.call('HSET', stop, 'worker', me, 'claimed', mine)
  end
  calls = calls + 1
  return {1, list, ill}
end

for i = 6, #KEYS do
  answers[#answers + 1] = claim(KEYS[i], unpack(ARGV, 5 * i - 25, 5 * i - 21))
end
flush()
if calls > 0 then
  count(control, now, calls)
  if endpoint ~= '' and not c[6] then redis.call('HSET', control, 'endpoint', endpoint) end
end
return answers
