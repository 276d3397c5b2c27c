-- Claims shadow stops that were taken, for a look by this worker itself, without a task. No stop call is marked: none
-- goes out. Put after rate.lua and turn.lua.
--
-- KEYS  control of the project, then of its shadow stops: control, waiting, released, then the stop of each item
-- ARGV  now, worker, "stops" when the fleet's stop calls are held, the endpoint that this worker calls ("" for any, "-"
--       for none), nonce, rate configured, burst, how long a probe may take (ms), then for each item: stop id, hop, job id
-- Returns 1 when calls of the project have failed lately, else 0, and 2 more when the project needs a round; why a stop
-- call of the project would be held until a person ends that ("": it would not); and for each item 1 when it is this
-- worker's, else 0. The same nonce gets the same answer again.
local control, own, waiting, released = unpack(KEYS, 1, 4)
local now, me, fleet, endpoint, nonce = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local c = redis.call('HMGET', control, 'paused', 'hold', 'failures', 'probe')
local calls, answers = 0, {(c[2] or c[3]) and 1 or 0, ''}
if c[1] or fleet == 'stops' then answers[2] = 'paused' end

local function claim(stop, id, hop, job)
  local f = redis.pcall('HMGET', stop, 'state', 'hop', 'kind', 'claimed')
  local member, mine = id .. ':' .. hop .. ':' .. job, hop .. ' ' .. nonce
  if f[1] ~= 'pending' or f[2] ~= hop or f[3] ~= 'shadow' then
    if c[4] == member and f[1] ~= 'pending' and string.match(f[4] or '', '^(%d+) ') ~= hop then pass_turn(control, now) end
    return 0
  elseif f[4] == mine then
    return 1
  elseif not redis.call('ZSCORE', released, member) or string.match(f[4] or '', '^(%d+) ') == hop then
    return 0
  end
  redis.call('HSET', stop, 'worker', me, 'claimed', mine)
  if c[4] == member then take_turn(control, now, now + ARGV[8], tonumber(ARGV[6]), tonumber(ARGV[7])) end
  calls = calls + 1
  return 1
end

for i = 5, #KEYS do
  answers[#answers + 1] = claim(KEYS[i], unpack(ARGV, 3 * i - 6, 3 * i - 4))
end
if calls > 0 then
  count(control, now, calls)
  if endpoint ~= '' and endpoint ~= '-' then redis.call('HSETNX', own, 'endpoint', endpoint) end
end
answers[1] = answers[1] + (needs_round(control, c[2]) and 2 or 0)
return answers
