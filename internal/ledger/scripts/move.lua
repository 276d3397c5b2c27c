-- Moves stops in flight from one hop to the next, which waits for its due time. Put after fewest.lua.
--
-- KEYS  waiting:small, waiting:stop, waiting:look, released, watched, latest, state:pending, state:stopping, control,
--       waiting:limited, waiting:held, then the items (see items.lua); batches only where the state changes
-- ARGV  now, then the items: stop id, job id, hop expected, nonce, version of the wishes, state after, kind after (stop
--       or poll), when the next step is due (ms), least number of stopping jobs for a watch (0: never watch), when a
--       watched stop is looked at at the latest, or when one whose stop call waits is looked after (ms; 0: at its
--       deadline)
-- Returns for each item
--       0  nothing: the stop is missing, ended or at another hop
--       1  it waits for its due time
--       2  it is watched: the list check looks for its job
--       3  nothing: its wishes are not those of that version
--       4  it waits for a look, due now, in place of a stop call: it was withdrawn while one was under way
-- The same nonce gets the same answer again: a client that lost the answer may repeat the call.
local small, large, look, released, watched, latest, pending, stopping, control, limited, held = unpack(KEYS, 1, 11)
local lanes = {small = small, limited = limited, held = held}
local now = tonumber(ARGV[1])
local are_stopping = redis.call('ZCARD', stopping)
local list = redis.call('HMGET', control, 'list_rests', 'cutoff', 'list_at', 'list_many', 'list_pages', 'list_joined',
  'list_long', 'probe')
local listed = tonumber(list[1] or 0) <= now
local joined = false -- another stop is accepted

local function move(stop, batches, fields, id, job, expected, nonce, version, state, kind, due, least, till)
  local f = redis.call('HMGET', stop, 'state', 'hop', 'kind', 'mover', 'version', 'lane', 'due', 'withdrawn', 'calling')
  if (f[1] ~= 'pending' and f[1] ~= 'stopping') or f[2] ~= expected or not f[7] then
    if f[4] ~= nonce then return 0 end
    return f[3] == 'watch' and 2 or kind == 'stop' and f[3] == 'poll' and 4 or 1
  elseif f[1] ~= state and (f[5] or '0') ~= version then
    return 3
  end
  if f[1] ~= state then
    joined = true
    gather('ZREM', pending, id)
    gather('ZADD', stopping, f[7], id)
    are_stopping = are_stopping + 1
    for i = 1, #batches, 2 do
      add(batches[i], 'pending', -1)
      add(batches[i], 'stopping', 1)
    end
  end
  local enough = are_stopping >= fewest(tonumber(least), list[5], now, list[2], list[4], list[6], list[7])
  local watch = listed and least ~= '0' and enough
  local hop, withdrawn = string.format('%.0f', expected + 1), kind == 'stop' and f[8]
  if withdrawn then kind, due = 'poll', ARGV[1] end
  if kind == 'stop' and tonumber(f[7]) > tonumber(due) then due = f[7] end -- not wanted yet
  redis.call('HSET', stop, 'mover', nonce, 'state', state, 'hop', hop, 'kind', watch and 'watch' or kind, 'next',
    watch and till or due, unpack(fields))
  if withdrawn then redis.call('HSET', stop, 'instead', f[9] or 0) end
  local member = id .. ':' .. expected .. ':' .. job
  gather('ZREM', released, member)
  if list[8] == member then redis.call('HSET', control, 'probe', '', 'probe_at', ARGV[1]) end -- it made no call
  if watch then
    gather('ZADD', watched, now + 0.25, job) -- the fraction says that no list has shown it yet
    gather('ZADD', latest, till, id)
    return 2
  end
  if kind == 'stop' and till ~= '0' then -- it may be looked after sooner, to be let out of the limits
    gather('ZADD', latest, math.min(till, redis.call('ZSCORE', latest, id) or till), id)
  end
  gather('ZADD', kind == 'poll' and look or lanes[f[6]] or large, due, id .. ':' .. hop .. ':' .. job)
  return withdrawn and 4 or 1
end

local answers = each(12, 2, 10, move)
flush()
if joined then -- the list is read soon, though nothing has moved on it for long
  local by = math.min(tonumber(list[3] or 0), now + 4000)
  redis.call('HSET', control, 'list_joined', string.format('%.0f', now), 'list_at', string.format('%.0f', by))
end
return answers
