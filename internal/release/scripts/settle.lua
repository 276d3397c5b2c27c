-- What else is to be done for the project, and when its next round is due. Put after release.lua. Returns
--       when the next round is due (ms from now; -1: nothing is left to do),
--       what is known of the list if it is to be checked (see listState in list.go), 1 when a probe is to be made of no
--       stop, 1 when there are stops to count,
--       stops and polls that were released,
--       watched jobs to look at, each with when it was last seen as stopping (ms),
--       the stops whose time is up, the released steps that have been silent for long,
--       1 when calls of the project have failed lately, since when a list that was read has not shown a job that was
--       seen before (ms; 0: no list was),
--       the endpoint of the stops in flight, if this worker calls another ("": it does not)

-- visit returns the first of a set whose time has come, and puts them off a little: if this worker dies now, they are
-- found again.
local function visit(set, till, put_off)
  local found = redis.call('ZRANGEBYSCORE', set, '-inf', till, 'LIMIT', 0, 100)
  local again = {}
  for i = 1, #found do
    again[2 * i - 1], again[2 * i] = put_off, found[i]
  end
  if #found > 0 then redis.call('ZADD', set, unpack(again)) end
  return found
end

local late = visit(latest, now, now + 10000)
local silent = visit(released, now - silence, now - silence + 2000)

local function head(set)
  local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  return tonumber(first[2] or INF)
end

local waiting = head(look)
if not paused then waiting = math.min(waiting, head(small), head(large)) end
local probe, list, list_at = 0, {}, tonumber(c[5] or 0)
if hold and open then
  -- A step that comes soon is the best probe; jobs that are watched wait for no step.
  if #went == 0 and waiting - now < (watching > 0 and 5000 or 120000) then
    probe_at = waiting
  else
    probe_at = now + probe_time
    if #went == 0 then probe = 1 end
  end
  redis.call('HSET', control, 'probe', went[2] or '', 'probe_at', string.format('%.0f', probe_at))
end
local free = #jobs / 2 < inline -- while nobody is free to look, there is no need to know more
if listing and open and not hold and free and list_at <= now and affordable() >= 1 then
  list_at = now + 2500 -- if nobody tells of it: one that takes longer has company
  redis.call('HSET', control, 'list_at', list_at)
  local known = redis.call('HMGET', control, 'list_pages', 'list_others', 'cutoff', 'list_since', 'list_quiet')
  list = {watching, math.max(1, tonumber(known[1] or 1))}
  for i = 2, #known do list[i + 1] = tonumber(known[i] or 0) end
  pay(list[6] == 1 and 1 or list[2]) -- a look at its length, or as many pages as the last one had
end
save(control, now, b)
local left = 0 -- jobs that a list which was read did not show
for i = 2, #jobs, 2 do
  if listing and tonumber(jobs[i]) < tonumber(c[7] or 0) then left = left + 1 end
end
if left > 0 then redis.call('HINCRBY', control, 'list_left', left) end

local sight = head(watched)
local due = math.min(waiting, sight < since and now + 25 or sight + fallback) -- nobody was free to look
if listing then due = math.min(due, free and list_at or math.max(list_at, now + 250)) end
if hold then
  due = probe_at
elseif more and room > #went / 2 then
  due = now
elseif room <= #went / 2 then
  due = math.max(due, now + 25)
end
if b.limited and b.stops < 1 then due = math.max(due, now + (1 - b.stops) * 1000 / b.rate) end
if parked then due = math.max(due, tonumber(c[2])) end
if fleet == '1' then due = INF end
if elsewhere then due = math.max(due, now + 250) end -- leave others the turn
due = math.min(due, head(latest), head(released) + silence)
return {due == INF and -1 or math.ceil(math.max(0, due - now)), list, probe,
  redis.call('LLEN', uncounted) > 0 and 1 or 0, stops, polls, jobs, late, silent,
  (hold or redis.call('HEXISTS', control, 'failures') == 1) and 1 or 0, listing and tonumber(c[7]) or 0,
  elsewhere and c[8] or ''}
