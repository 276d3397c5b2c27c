-- A line of projects that wait for room in asynq's queue, or for a worker that is free to look: two sorted sets, since
-- (by since when they wait) and few (by how many of their steps wait). Half of the room is for those who have waited
-- longest, half for those with the fewest steps: nobody waits for ever, and one stop does not stand behind a thousand
-- projects with many.

-- stand puts a project with so many steps that wait in line, where it keeps its place, also if now was set back
-- meanwhile. With false it leaves.
local function stand(line, project, steps, now)
  if not steps then
    redis.call('ZREM', line.since, project)
    return redis.call('ZREM', line.few, project)
  end
  redis.call('ZADD', line.since, 'LT', string.format('%.0f', now), project)
  redis.call('ZADD', line.few, steps, project)
end

-- first lists the first of a line, up to 64: by turns who has waited longest, and who has the fewest steps.
local function first(line, now)
  local kinds = now % 2 == 0 and {line.since, line.few} or {line.few, line.since} -- there is often room for one only
  local some, others, all = redis.call('ZRANGE', kinds[1], 0, 31), redis.call('ZRANGE', kinds[2], 0, 31), {}
  for i = 1, math.max(#some, #others) do
    all[#all + 1] = some[i]
    all[#all + 1] = others[i]
  end
  return all
end
