-- Ends stops in flight. Of all callers exactly one gets 1 for a stop; that one counts it.
--
-- KEYS  those of close.lua, then for each item the stop and the batches of its wishes
-- ARGV  now, how many stop times are kept, then for each item: stop id, hop expected, the
--       outcome, nonce, version of the wishes, how long the job took to stop (ms; "" if not known), how many batches,
--       their ids, how many fields to save, their names and values
-- Returns for each item 1 when it ended, 0 when the stop is missing, ended or at another hop, 2 when its wishes are not
-- those of that version. The same nonce gets the same answer again: a client that lost the answer may repeat the call.
local now, kept = ARGV[1], tonumber(ARGV[2])
local k, a, answers = 14, 3, {}

local function finish(stop, keys, item, batches, fields)
  local id, expected, outcome, nonce, version, took = unpack(item)
  local f = redis.call('HMGET', stop, 'state', 'hop', 'job', 'kind', 'mover', 'version')
  if (f[1] ~= 'pending' and f[1] ~= 'stopping') or f[2] ~= expected then
    return f[5] == nonce and 1 or 0
  elseif (f[6] or '0') ~= version then
    return 2
  end
  redis.call('HSET', stop, 'mover', nonce, 'state', outcome, 'ended', now, unpack(fields))
  close(stop, id, {state = f[1], hop = f[2], job = f[3], kind = f[4]})
  for i = 1, #batches do
    count(keys[i], batches[i], f[1], outcome, now)
  end
  if took ~= '' then
    redis.call('LPUSH', times, took)
    redis.call('LTRIM', times, 0, kept - 1)
  end
  return 1
end

while a <= #ARGV do
  local item = {unpack(ARGV, a, a + 5)}
  local n = tonumber(ARGV[a + 6])
  local batches = {unpack(ARGV, a + 7, a + 6 + n)}
  a = a + 7 + n
  local m = 2 * tonumber(ARGV[a])
  local fields = {unpack(ARGV, a + 1, a + m)}
  a = a + 1 + m
  answers[#answers + 1] = finish(KEYS[k], {unpack(KEYS, k + 1, k + n)}, item, batches, fields)
  k = k + 1 + n
end
return answers
