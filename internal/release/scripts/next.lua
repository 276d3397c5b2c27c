-- What else is to be done for the project, and when its next round is due. Put after
-- settle.lua. Returns
--       when the next round is due (ms from now; -1: nothing is left to do),
--       what is known of the list if it is to be checked (see listState in list.go), 1 when a probe is to be made of no
--       stop, 1 when there are stops to count,
--       stops and polls that were released,
--       watched jobs to look at, each with when it was last seen as stopping (ms),
--       the stops whose time is up, the released steps that have been silent for long,
--       1 when calls of the project have failed lately, since when a list that was read has not shown a job that was
--       seen before (ms; 0: no list was),
--       the endpoint of the stops in flight, if this worker calls another ("": it does not),
--       the reasons of limits that have begun to hold stops back since somebody was told, each with a space after it,
--       what is lacking for something that is due: 1 room in the queue, 2 a look, 3 both, else 0,
--       how many steps and looks wait for that (of each kind, up to 30)

-- The window limit holds stops back from when one has to wait for it until none does.
local news = redis.call('HMGET', limits, 'shut', 'news')
if w and w.left < 1 and not news[1] then
  news[2] = (news[2] or '') .. 'window_limit '
  redis.call('HSET', limits, 'shut', string.format('%.0f', now), 'news', news[2])
elseif news[1] and not w then
  redis.call('HDEL', limits, 'shut')
end

local sight = head(watched)
local sighted = listing and in_time and INF or sight + fallback -- the next list check sees them in time
local lacks, soon = 0, now + 25 -- nobody was free to look
if open and MOST == 0 and waiting <= now then lacks, waiting = 1, now + tonumber(ARGV[19]) end
if open and not hold and sight < since and inline < 1 and ARGV[18] == '1' then
  lacks, soon = lacks + 2, now + tonumber(ARGV[19])
end
local steps, lanes = 0, {look, watched}
if hold then
  lanes, steps = {}, lacks -- a probe
elseif not paused then
  lanes = {look, watched, small, large, w and w.left > 0 and limited or nil}
end
for _, set in ipairs(lacks > 0 and lanes or {}) do
  local till = set == watched and string.format('(%.0f', math.min(since, now)) or now
  steps = steps + #redis.call('ZRANGEBYSCORE', set, '-inf', till, 'LIMIT', 0, 30)
end
local due = math.min(waiting, sight < since and soon or sighted)
if listing then -- who waits for a look goes before the list
  due = math.min(due, free and list_at or lacks < 2 and math.max(list_at, now + 250) or INF)
end
if hold then
  due = lacks > 0 and waiting or probe_at
  if waiting == INF and watching == 0 then due = math.max(due, now + 30000) end -- nobody waits for its end
elseif more and room > #went / 2 then
  due = now
elseif room <= #went / 2 then
  due = math.max(due, now + tonumber(ARGV[17])) -- its steps have a while to work, those of all others their turn
end
if b.limited and b.stops < 1 and not hold then
  local lacking = 1 - b.stops
  if head(look) <= now or sight < since then -- a fifth of the rate is theirs
    lacking = math.min(lacking, 5 * math.max(0, 1 - b.looks))
  end
  due = math.max(due, now + lacking * 1000 / b.rate)
end
if parked then due = math.max(due, tonumber(c[2])) end
if elsewhere then
  due = math.max(due, now + 250) -- leave others the turn, whose account may be well
elseif fleet == '1' then
  due = INF
end
due = math.min(due, head(latest), head(released) + silence)
return {due == INF and -1 or math.ceil(math.max(0, due - now)), list, probe,
  redis.call('LLEN', uncounted) > 0 and 1 or 0, stops, polls, jobs, late, silent,
  (hold or redis.call('HEXISTS', control, 'failures') == 1) and 1 or 0, listable and cutoff or 0,
  elsewhere and c[8] or '', news[2] or '', lacks, steps}
