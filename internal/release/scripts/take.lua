-- Takes stops out of where they wait, for a look by this worker itself, without a task.
--
-- KEYS  control, waiting:small, waiting:stop, waiting:look, released, watched, active, waiting:limited, waiting:held, then the
--       stop of each item
-- ARGV  now, worker, nonce, 1 when asynq's queue is paused, then for each item: stop id, job id, hop expected. Hop 0 is
--       that of a watched job, whatever it is; its stop is the active one as it was read ("" for none). If that is not
--       watched, the job is not any more.
-- Returns 1 when calls of the project have failed lately, else 0, and for each item 1 when it was taken, at a new hop; 0
-- when it is at another hop or a task has it. While the queue is paused, a step that nobody has claimed is taken from
-- its task, too, if the stop's deadline has passed. The same nonce gets the same answer again.
local control, small, large, look, released, watched, active, limited, held = unpack(KEYS, 1, 9)
local now, me, nonce = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local c = redis.call('HMGET', control, 'hold', 'failures', 'probe')
local answers, calls = {(c[1] or c[2]) and 1 or 0}, 0

local function take(stop, id, job, hop)
  local f = redis.pcall('HMGET', stop, 'state', 'hop', 'kind', 'claimed', 'deadline')
  if f[2] and f[4] == f[2] .. ' ' .. nonce then
    return 1
  end
  if hop == '0' and f[3] == 'watch' then
    hop = f[2]
  elseif hop == '0' and (redis.call('HGET', active, job) or '') == id then
    redis.call('ZREM', watched, job)
  end
  if (f[1] ~= 'pending' and f[1] ~= 'stopping') or f[2] ~= hop or not tonumber(hop or nil) or not f[5] then
    return 0
  end
  local next_hop = string.format('%.0f', hop + 1)
  local member = id .. ':' .. hop .. ':' .. job
  local found = f[3] == 'watch' and redis.call('ZREM', watched, job) or 0
  if found == 0 then
    for _, set in ipairs({look, small, large, limited, held}) do found = found + redis.call('ZREM', set, member) end
  end
  if found == 0 and ARGV[4] == '1' and tonumber(f[5]) <= now and string.match(f[4] or '', '^(%d+) ') ~= hop then
    found = redis.call('ZREM', released, member)
    if found == 1 and c[3] == member then redis.call('HSET', control, 'probe_at', ARGV[1]) end -- it makes no call
  end
  if found == 0 then
    return 0
  end
  gather('ZADD', released, now, id .. ':' .. next_hop .. ':' .. job)
  redis.call('HSET', stop, 'hop', next_hop, 'kind', 'poll', 'worker', me, 'claimed', next_hop .. ' ' .. nonce)
  calls = calls + 1
  return 1
end

for i = 10, #KEYS do
  answers[#answers + 1] = take(KEYS[i], unpack(ARGV, 3 * i - 25, 3 * i - 23))
end
flush()
if calls > 0 then count(control, now, calls) end
return answers
