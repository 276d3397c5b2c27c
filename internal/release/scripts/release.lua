-- Takes the steps that go out in this round. Put after round.lua and before settle.lua.

-- looks_room is how much of the room is kept for looks: a fifth, or of less than that, all of it in each fifth round.
local function looks_room()
  local kept = math.floor(room / 5)
  if kept == 0 and waits(look) and redis.call('HINCRBY', control, 'crowded', 1) % 5 == 0 then kept = room end
  return kept
end

-- turns is how many of the next n steps are each nth of those for which others compete, counted in a field of control:
-- a round often has room or rate for a single one.
local function turns(nth, n, field)
  if n < 1 then return 0 end
  local all = redis.call('HINCRBY', control, field, n)
  return math.floor(all / nth) - math.floor((all - n) / nth)
end

-- looks_allowed is how many steps that are looks the rate allows. Each second one is left to the list, if that is due,
-- and to watched jobs: it tells of a hundred, and of many single ones some may have been stopping for long.
local function looks_allowed()
  local most = affordable()
  if not b.limited or most < 1 or not waits(look) then return most end
  local till = string.format('(%.0f', since)
  local missed = inline > 0 and #redis.call('ZRANGEBYSCORE', watched, '-inf', till, 'LIMIT', 0, 1) > 0
  return (list_due or missed) and turns(2, most, 'look_turns') or most
end

if open and hold then -- one probe at a time; one that a limit may hold back only if there is no other
  if pop(look, 1, polls) == 0 and not paused and pop(small, 1, stops) == 0 and pop(large, 1, stops) == 0 and not list_first then
    pop_limited(1)
  end
elseif open then
  if not paused and room > 0 then
    local n = math.min(MOST, room - looks_room(), math.floor(math.min(b.stops, MOST)))
    local past_small = waits(small) and (left() > 0 or waits(large)) and turns(5, n, 'small_turns') or 0
    local first = pop(small, n - past_small, stops)
    local past_limited = left() > 0 and waits(large) and turns(2, n - first, 'limited_turns') or 0
    first = first + pop_limited(n - first - past_limited)
    first = first + pop(large, n - first, stops)
    if b.limited then b.stops = b.stops - first end
  end
  pay(b, pop(look, math.min(room - #stops, looks_allowed()), polls))
  -- What a dead worker still holds takes up the room and the queue, but not what this worker can look at itself.
  -- A list that is due goes before looks at what none has shown for long: it may show them.
  local n, till = math.min(inline, affordable()), list_due and cutoff or since
  if n > 0 then
    jobs = redis.call('ZRANGEBYSCORE', watched, '-inf', '(' .. till, 'WITHSCORES', 'LIMIT', 0, n)
    for i = 1, #jobs, 2 do
      redis.call('ZADD', watched, now + 0.5, jobs[i]) -- if this worker does not look, it is found again
    end
    pay(b, #jobs / 2)
    if #jobs == 2 * n then more = true end
  end
end
if #went > 0 then redis.call('ZADD', released, unpack(went)) end
