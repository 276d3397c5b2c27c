-- What else is to be done for the project. Put after release.lua and before next.lua.

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
local silent = visit(released, now - silence, now - silence + 1000)

local function head(set)
  local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  return tonumber(first[2] or INF)
end

local waiting = head(look)
if not paused then
  local first = head(limited)
  if first <= now and left() < 1 then first = unconfirmed > 0 and now + 250 or w.opens end
  if hold and list_first then first = INF end
  waiting = math.min(waiting, head(small), head(large), first)
end
local probe, list = 0, {}
if hold and open then
  -- A step that comes soon is the best probe; jobs that are watched wait for no step.
  local step = went[2]
  if not step and waiting - now < (watching > 0 and 5000 or 120000) then
    step, probe_at = 'later', waiting -- or whatever is due sooner
  else
    probe_at = now + probe_time
    if not step then step, probe = 'list', 1 end
  end
  redis.call('HSET', control, 'probe', step, 'probe_at', string.format('%.0f', probe_at))
end
-- While many that a list has not shown wait for a look, or half of those that none is about to look at, there is no
-- need to know more. Fewer keep everybody busy while the list is read.
local others = watching - #jobs / 2
local free = backlog >= 0 and others > 0 and #redis.call('ZRANGEBYSCORE', watched, '-inf', '(' .. cutoff, 'LIMIT',
  math.min(backlog, math.floor(others / 2)), 1) == 0
if listing and open and not hold and free and list_at <= now and affordable() >= 1 then
  local known = redis.call('HMGET', control, 'list_pages', 'list_others', 'cutoff', 'list_since', 'list_peek',
    'list_moved', 'list_joined')
  list = {watching, math.max(1, tonumber(known[1] or 1))}
  list_at = now + tonumber(ARGV[16]) -- if nobody tells of it: one that takes longer has company
  redis.call('HSET', control, 'list_at', string.format('%.0f', list_at),
    unpack(watching >= least and {'list_many', string.format('%.0f', now)} or {}))
  for i = 2, #known do list[i + 1] = tonumber(known[i] or 0) end
  list[9] = redis.call('HINCRBY', control, 'list_check', 1)
  list[10] = b.limited and math.max(1, math.floor(1000 * b.steady)) or 0 -- 0: any number
  pay(b, list[6] == 1 and 1 or list[2]) -- a look at its length, or as many pages as the last one had
end
save(control, now, b)
if probe == 1 then take_turn(control, now, probe_at, conf, burst) end -- a step that was released takes it with its claim
local left = 0 -- jobs that a list which was read did not show
for i = 2, #jobs, 2 do
  if listable and tonumber(jobs[i]) < cutoff then left = left + 1 end
end
if left > 0 then
  redis.call('HINCRBY', control, 'list_left', left)
  if tonumber(redis.call('HGET', control, 'list_moved') or 0) < cutoff then redis.call('HSET', control, 'list_moved', c[7]) end
end
