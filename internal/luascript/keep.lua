-- How a stop waits for what its wishes ask for. Put after lane.lua, before the scripts that change wishes, or find that
-- one has passed.

-- keep has a stop act on the earliest due time and the latest deadline of the wishes that stand; passes says when the
-- deadline of one comes before that, and it is to be done again. It is in an ordinary lane
-- from the earliest due time to the latest deadline of those that somebody has confirmed. Before and after, the limits
-- keep it: meant_from and meant_till say when that is, if others ask for more. k has the waiting sets by the name of their
-- lane, '' for the large one, and the keys limits, latest and pending. lane is the ordinary lane that it comes to.
local function keep(stop, id, now, k, lane)
  local f = hash(stop)
  if f.state ~= 'pending' and f.state ~= 'stopping' then return end
  now = tonumber(now)
  local w = wanted(f, k.limits, now)
  if not w.due then return end -- no wish stands: a withdrawal by a program of before leaves passes behind
  local free = w.from and (now >= w.from or w.due >= w.from) and (now < w.till or w.deadline <= w.till)
  if w.from and (w.due < w.from or w.deadline > w.till) then
    redis.call('HSET', stop, 'meant_from', string.format('%.0f', w.from), 'meant_till', string.format('%.0f', w.till),
      'batch', w.heir)
  elseif f.meant_from then
    redis.call('HDEL', stop, 'meant_from', 'meant_till')
  end
  if w.passes < w.deadline then
    redis.call('HSET', stop, 'passes', string.format('%.0f', w.passes))
  elseif f.passes then
    redis.call('HDEL', stop, 'passes')
  end
  local to = f.lane or ''
  if not free then
    redis.call('HSET', stop, 'batch', w.heir)
    to = is_held(k.limits, w.heir) and 'held' or 'limited'
  elseif to == 'limited' or to == 'held' then
    to = lane
  end
  rest(stop, id, k, to)

  local due, deadline = string.format('%.0f', w.due), string.format('%.0f', w.deadline)
  if due ~= f.due then
    redis.call('HSET', stop, 'due', due)
    if f.state == 'pending' then redis.call('ZADD', k.pending, due, id) end
    local member = id .. ':' .. (f.hop or '0') .. ':' .. (f.job or '')
    if f.next == f.due and f.kind ~= 'poll' and redis.call('ZSCORE', k[to], member) then -- it only waits for that
      redis.call('HSET', stop, 'next', due)
      redis.call('ZADD', k[to], due, member)
    end
  end
  local alarm = not free and w.from and w.from > now and w.from or w.deadline -- late.lua lets it out then
  if deadline ~= f.deadline or alarm < w.deadline then
    redis.call('HSET', stop, 'deadline', deadline)
    local sooner = f.kind == 'watch' and f.next
    if f.kind == 'stop' and (f.state == 'stopping' or f.unsure == '1') then -- it is looked at while its call waits
      sooner = redis.call('ZSCORE', k.latest, id)
    end
    redis.call('ZADD', k.latest, math.min(alarm, sooner or alarm), id)
  end
end
