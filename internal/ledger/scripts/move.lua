-- Moves stops in flight from one hop to the next, which waits for its due time.
--
-- KEYS  waiting:small, waiting:stop, waiting:look, released, watched, latest, state:pending, state:stopping, control, then
--       for each item the stop and the batches of its wishes, if its state changes
-- ARGV  now, then for each item: stop id, job id, hop expected, nonce, version of the wishes, state after, kind after
--       (stop or poll), when the next step is due (ms), least number of stopping jobs for a watch (0: never watch), when
--       a watched stop is looked at at the latest (ms), how many batches, their ids, how many fields to save, their
--       names and values
-- Returns for each item
--       0  nothing: the stop is missing, ended or at another hop
--       1  it waits for its due time
--       2  it is watched: the list check looks for its job
--       3  nothing: its wishes are not those of that version
-- The same nonce gets the same answer again: a client that lost the answer may repeat the call.
local small, large, look, released, watched, latest, pending, stopping, control = unpack(KEYS, 1, 9)
local now = tonumber(ARGV[1])
local k, a, answers = 10, 2, {}

local function move(stop, keys, item, batches, fields)
  local id, job, expected, nonce, version, state, kind, due, least, until_ = unpack(item)
  local f = redis.call('HMGET', stop, 'state', 'hop', 'kind', 'mover', 'version', 'lane', 'due')
  if (f[1] ~= 'pending' and f[1] ~= 'stopping') or f[2] ~= expected then
    return f[4] == nonce and (f[3] == 'watch' and 2 or 1) or 0
  elseif f[1] ~= state and (f[5] or '0') ~= version then
    return 3
  end
  if f[1] ~= state then
    redis.call('ZREM', pending, id)
    redis.call('ZADD', stopping, f[7], id)
    for i = 1, #keys do
      redis.call('HINCRBY', keys[i], 'pending', -1)
      redis.call('HINCRBY', keys[i], 'stopping', 1)
    end
  end
  local hop = string.format('%.0f', expected + 1)
  local watch = false
  least = tonumber(least)
  if least > 0 and redis.call('ZCARD', stopping) >= least then
    watch = tonumber(redis.call('HGET', control, 'list_rests') or 0) <= now
  end
  redis.call('ZREM', released, id .. ':' .. expected .. ':' .. job)
  redis.call('HSET', stop, 'mover', nonce, 'state', state, 'hop', hop, 'kind', watch and 'watch' or kind, 'next',
    watch and until_ or due, unpack(fields))
  if watch then
    redis.call('ZADD', watched, now + 0.25, job) -- the fraction says that no list has shown it yet
    redis.call('ZADD', latest, until_, id)
    return 2
  end
  local set = kind == 'poll' and look or f[6] and small or large
  redis.call('ZADD', set, due, id .. ':' .. hop .. ':' .. job)
  return 1
end

while a <= #ARGV do
  local item = {unpack(ARGV, a, a + 9)}
  local n = tonumber(ARGV[a + 10])
  local batches = {unpack(ARGV, a + 11, a + 10 + n)}
  a = a + 11 + n
  local m = 2 * tonumber(ARGV[a])
  local fields = {unpack(ARGV, a + 1, a + m)}
  a = a + 1 + m
  answers[#answers + 1] = move(KEYS[k], {unpack(KEYS, k + 1, k + n)}, item, batches, fields)
  k = k + 1 + n
end
return answers
