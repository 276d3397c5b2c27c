-- What the limits say to claims of stop calls that nobody confirmed. Put after window.lua and lane.lua, and before claim.lua.
local w, spent = nil, 0 -- the window, once such a call was met, and what it has lost since

-- limited_now says whether a limit is for a call now: one is for a stop in such a lane; but if others ask for more than
-- somebody has confirmed, before (from) and after (till) that alone.
local function limited_now(lane, from, till, now)
  if from then return now + 1000 < tonumber(from) or now >= tonumber(till) end
  return lane == 'limited' or lane == 'held'
end

-- admit says in which lane a stop waits that a limit does not let out now; nil: its call goes out, and counts if a limit is
-- for it, unless it has counted already.
local function admit(stop, limits, counts, now, most, lane, from, till, batch, counted)
  if not limited_now(lane, from, till, now) then return end
  if lane == 'held' or is_held(limits, batch) then -- another batch may have asked for it, too
    batch = wanted(hash(stop), limits, now).heir
    if not batch or is_held(limits, batch) then return 'held' end
    redis.call('HSET', stop, 'batch', batch, 'lane', 'limited')
  end
  if counted then return end
  w = w or window(counts, now, most)
  if w.left <= spent then return 'limited' end
  spent = spent + 1
end

-- record keeps what was counted, and forgets the minutes that count no longer.
local function record(counts)
  if spent > 0 then redis.call('HINCRBY', counts, 'u' .. w.minute, spent) end
  if w and #w.old > 0 then redis.call('HDEL', counts, unpack(w.old)) end
end
