-- Ends stops in flight. Of all callers exactly one gets 1 for a stop; that one counts it.
--
-- KEYS  those of close.lua, then the items (see items.lua)
-- ARGV  now, how many stop times are kept, then the items: stop id, hop expected, the outcome, nonce, version of the
--       wishes, how long the job took to stop (ms; "" if not known)
-- Returns for each item 1 when it ended, 0 when the stop is missing, ended or at another hop, 2 when its wishes are not
-- those of that version. The same nonce gets the same answer again: a client that lost the answer may repeat the call.
local now, kept, learned = ARGV[1], tonumber(ARGV[2]), false

-- A record that has lost its hop has 0 for whoever reads it. One that has lost its job ends like one that never had
-- any.
local function finish(stop, batches, fields, id, expected, outcome, nonce, version, took)
  local f = redis.call('HMGET', stop, 'state', 'hop', 'job', 'kind', 'mover', 'version', 'lane')
  if (f[1] ~= 'pending' and f[1] ~= 'stopping') or (f[2] or '0') ~= expected then
    return f[5] == nonce and 1 or 0
  elseif (f[6] or '0') ~= version then
    return 2
  end
  local prev = close(id, {state = f[1], hop = expected, job = f[3] or '', kind = f[4], lane = f[7]})
  fields[#fields + 1], fields[#fields + 2] = prev[1], prev[2]
  redis.call('HSET', stop, 'mover', nonce, 'state', outcome, 'ended', now, unpack(fields))
  for i = 1, #batches, 2 do
    count(batches[i], batches[i + 1], f[1], outcome)
  end
  if took ~= '' then
    gather('LPUSH', times, took)
    learned = true
  end
  return 1
end

local answers = each(18, 3, 6, finish)
finally(now)
if learned then redis.call('LTRIM', times, 0, kept - 1) end
return answers
