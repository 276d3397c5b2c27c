-- Claims steps for the tasks that carry them. Put after rate.lua, turn.lua, present.lua, admit.lua and back.lua. A
-- claim of a stop call leaves a mark: whoever finds it after the worker has died knows that the call may have gone out.
-- That of a stop that nobody confirmed counts in the window, each time that it is claimed. A claim that is repeated, as
-- its answer was lost or came late, gets the same answer again, unless something, or a shadow account, holds it back by
-- now. One of a stop call is made anew after 3 seconds: it counts, and is marked, when it may go out.
--
-- KEYS  control, waiting:small, waiting:stop, waiting:look, released, waiting:limited, waiting:held, limits, window,
--       latest, state:pending, then the stop of each item
-- ARGV  now, worker, 1 when the fleet is held ("stops" when its stop calls are), the endpoint that this worker calls ("" for
--       any, "-" for none), the window limit (0: none), 1 in a shadow account, where no stop call goes out, rate configured,
--       burst, how long a probe may take (ms), then for each item: stop id, hop, job id, kind of the task (stop or poll), nonce
-- Returns 1 when calls of the project have failed lately, else 0, and 2 more when the project needs a round; for each item
--       0  nothing to do: it is at another hop, claimed before, or not released
--       1  it is this worker's, 3 if its stop call may go out, too, by the mark that it has
--       2  it is held back, at another endpoint, or not wanted yet: it waits again (see back.lua)
local control, small, large, look, released, limited, held, limits, counts, latest, pending = unpack(KEYS, 1, 11)
local now, me, fleet, endpoint, most, shadow = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6] == '1'
local k = {small = small, limited = limited, held = held, [''] = large, limits = limits, latest = latest, pending = pending}
local c = redis.call('HMGET', control, 'paused', 'parked', 'hold', 'probe', 'failures', 'endpoint')
local elsewhere = endpoint ~= '' and c[6] and c[6] ~= endpoint
local parked, calls, answers = tonumber(c[2] or 0), 0, {(c[3] or c[5]) and 1 or 0}
local soonest = math.max(parked, (elsewhere or fleet ~= '') and now + 250 or now) -- other workers are to get the turn

local function claim(stop, id, hop, job, kind, nonce)
  local state, at_hop, at_kind, deadline, claimed, due, lane, withdrawn, batch, meant_from, meant_till, calling, marked, unsure =
    present(stop, id, now, k, 'state', 'hop', 'kind', 'deadline', 'claimed', 'due', 'lane', 'withdrawn', 'batch',
      'meant_from', 'meant_till', 'calling', 'marked', 'unsure')
  deadline, claimed = tonumber(deadline or nil), claimed or ''
  local member, again = id .. ':' .. hop .. ':' .. job, claimed == hop .. ' ' .. nonce
  local probe, ended = c[4] == member, state ~= 'pending' and state ~= 'stopping'
  if ended or at_hop ~= hop or at_kind ~= kind or not deadline then
    if probe and ended and string.match(claimed, '^(%d+) ') ~= hop then pass_turn(control, soonest) end
    return 0
  elseif again and (kind ~= 'stop' or calling ~= hop) then -- no call goes out
    return 1
  elseif not again and (not redis.call('ZSCORE', released, member) or string.match(claimed, '^(%d+) ') == hop) then
    return 0
  end
  local later, fresh = nil, again and now < (tonumber(marked) or 0) + 3000
  local call = kind == 'stop' and deadline > now and not withdrawn and not shadow
  local paused = kind == 'stop' and (c[1] or fleet == 'stops') or again and shadow -- the mark of a call stands
  if elsewhere or fleet == '1' or parked > now or c[3] and not probe or paused then
    later = math.max(now, math.min(parked, deadline))
  end
  if kind == 'stop' and not withdrawn and tonumber(due or 0) > now + 1000 then later = tonumber(due) end -- not wanted yet
  local kept = not later and call and admit(stop, limits, counts, now, most, lane, meant_from, meant_till, batch, fresh)
  if kept then
    redis.call('HSET', stop, 'lane', kept)
    lane, later = kept, tonumber(due) -- it keeps its place in the order
  end
  if later then
    kind = kind_back(stop, kind, again, withdrawn, calling)
    if kind ~= at_kind then later = math.max(now, math.min(parked, deadline)) end -- a look waits for no wish
    local from, next_hop = string.format('%.0f', later), string.format('%.0f', hop + 1)
    redis.call('ZREM', released, member)
    redis.call('ZADD', kind == 'poll' and look or k[lane] or large, from, id .. ':' .. next_hop .. ':' .. job)
    redis.call('HSET', stop, 'hop', next_hop, 'next', from)
    if probe then pass_turn(control, soonest) end
    return 2
  end
  if fresh and call then return 3 end
  local goes = call or kind == 'poll' or state == 'stopping' or unsure
  if probe and goes then take_turn(control, now, now + ARGV[9], tonumber(ARGV[7]), tonumber(ARGV[8]), again) end
  if probe and not goes then pass_turn(control, soonest) end
  redis.call('HSET', stop, 'worker', me, 'claimed', hop .. ' ' .. nonce, unpack(call and {'calling', hop, 'marked', now} or {}))
  calls = calls + 1
  return call and 3 or 1
end

for i = 12, #KEYS do
  answers[#answers + 1] = claim(KEYS[i], unpack(ARGV, 5 * i - 50, 5 * i - 46))
end
record(counts)
if calls > 0 then
  count(control, now, calls)
  if endpoint ~= '' and endpoint ~= '-' and not c[6] then redis.call('HSET', control, 'endpoint', endpoint) end
end
answers[1] = answers[1] + (needs_round(control, c[3]) and 2 or 0)
return answers
