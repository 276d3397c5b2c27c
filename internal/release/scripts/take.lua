-- Takes stops out of where they wait, for a look by this worker itself, without a task.
--
-- KEYS  control, waiting:small, waiting:stop, waiting:look, released, watched, latest, active, then the stop of each item
-- ARGV  now, worker, then for each item: stop id, job id, hop expected, nonce. Hop 0 is that of a watched job, whatever it
--       is; its stop is the active one as it was read ("" for none). If that is not watched, the job is not any more.
-- Returns 1 when calls of the project have failed lately, else 0, and for each item the stop as HGETALL gives it, at its
-- new hop; empty when it is at another hop or a task has it. The same nonce gets the same answer again.
local control, small, large, look, released, watched, latest, active = unpack(KEYS, 1, 8)
local now, me = tonumber(ARGV[1]), ARGV[2]
local c = redis.call('HMGET', control, 'hold', 'failures')
local answers, calls = {(c[1] or c[2]) and 1 or 0}, 0

local function take(stop, id, job, hop, nonce)
  local f = redis.call('HMGET', stop, 'state', 'hop', 'kind', 'claimed', 'deadline')
  if f[2] and f[4] == f[2] .. ' ' .. nonce then
    return redis.call('HGETALL', stop)
  end
  if hop == '0' and f[3] == 'watch' then
    hop = f[2]
  elseif hop == '0' and (redis.call('HGET', active, job) or '') == id then
    redis.call('ZREM', watched, job)
  end
  if (f[1] ~= 'pending' and f[1] ~= 'stopping') or f[2] ~= hop or not f[5] then
    return {}
  end
  local next_hop = string.format('%.0f', hop + 1)
  local member = id .. ':' .. hop .. ':' .. job
  local found = f[3] == 'watch' and redis.call('ZREM', watched, job) or 0
  if found == 0 then
    found = redis.call('ZREM', look, member) + redis.call('ZREM', small, member) + redis.call('ZREM', large, member)
  end
  if found == 0 then
    return {}
  end
  gather('ZADD', released, now, id .. ':' .. next_hop .. ':' .. job)
  gather('ZADD', latest, f[5], id)
  redis.call('HSET', stop, 'hop', next_hop, 'kind', 'poll', 'worker', me, 'claimed', next_hop .. ' ' .. nonce)
  calls = calls + 1
  return redis.call('HGETALL', stop)
end

for i = 9, #KEYS do
  answers[#answers + 1] = take(KEYS[i], unpack(ARGV, 4 * i - 33, 4 * i - 30))
end
flush()
if calls > 0 then count(control, now, calls) end
return answers
