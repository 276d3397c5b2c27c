-- A line of projects that wait for room in asynq's queue, or for a worker that is free to look: a sorted set, by since
-- when they wait, a second later for each step that waits, up to 30. One stop does not stand behind a thousand projects
-- with many, and these do not wait for ever.

-- stand puts a project with so many steps that wait in line, where it keeps its place: it loses none, also if now was
-- set back meanwhile. With false it leaves.
local function stand(line, project, steps, now)
  if not steps then return redis.call('ZREM', line, project) end
  redis.call('ZADD', line, 'LT', string.format('%.0f', now + 1000 * math.min(steps, 30)), project)
end
