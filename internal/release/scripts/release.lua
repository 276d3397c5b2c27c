-- Takes the steps that go out in this round. Put after round.lua and before settle.lua.

-- looks_room is how much of the room is kept for looks: a fifth, or of less than that, all of it in each fifth round.
local function looks_room()
  local kept = math.floor(room / 5)
  if kept == 0 and waits(look) and redis.call('HINCRBY', control, 'crowded', 1) % 5 == 0 then kept = room end
  return kept
end

if open and hold then -- one probe at a time; one that a limit may hold back only if there is no other
  if pop(look, 1, polls) == 0 and not paused and pop(small, 1, stops) == 0 and pop(large, 1, stops) == 0 and not list_first then
    pop_limited(1)
  end
elseif open then
  if not paused and room > 0 then
    local n = math.min(MOST, room - looks_room(), math.floor(math.min(b.stops, MOST)))
    local first = pop(small, (left() > 0 or waits(large)) and math.ceil(n * 0.8) or n, stops)
    first = first + pop_limited(waits(large) and math.ceil((n - first) / 2) or n - first)
    first = first + pop(large, n - first, stops)
    if b.limited then b.stops = b.stops - first end
  end
  pay(b, pop(look, math.min(room - #stops, affordable()), polls))
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
