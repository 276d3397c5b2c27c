-- Says which projects are due for a round, and gives them to the caller for a while. Put after line.lua.
--
-- KEYS  rounds (sorted set: project by when its next round is due), announced (sorted set: project by when the round is
--       due that finds what was announced, see announce.lua), queue, looks, queue:few, looks:few (lines, see line.lua)
-- ARGV  now, for how long (ms), how many, for how many of those in queue, and in looks, there is room now, then
--       for each round that is over: project, when it was given ("": it only needs a round), when the next one is due
--       (ms from now; -1: never), what it lacks besides (the sum of 1: room in the queue, 2: a look, 4: it is not known
--       whether a look), how many steps and looks of it wait
-- Returns when the first of the others is due (ms from now; -1: none), what others wait for (as above), then each
-- project with the time that its round is the caller's until.
--
-- A round that is over settles its project's next time only if nobody has asked for an earlier one meanwhile, and no
-- later than what was announced: it may not have seen that, unless it was given at that time or later.
local rounds, announced = KEYS[1], KEYS[2]
local queue, looks = {since = KEYS[3], few = KEYS[5]}, {since = KEYS[4], few = KEYS[6]}
local now, hold = tonumber(ARGV[1]), tonumber(ARGV[2])
local some = redis.call('EXISTS', announced) == 1

local function announcedFor(project)
  return tonumber(some and redis.call('ZSCORE', announced, project) or math.huge)
end

local function pull(project, due)
  local at = redis.call('ZSCORE', rounds, project)
  if not at or tonumber(at) > due then
    redis.call('ZADD', rounds, string.format('%.0f', due), project)
  end
end

for i = 6, #ARGV, 5 do
  local project, given, after, lacks, steps = unpack(ARGV, i, i + 4)
  after, lacks, steps = tonumber(after), tonumber(lacks), tonumber(steps)
  if given ~= '' then
    stand(queue, project, lacks % 2 == 1 and steps, now)
    if lacks < 4 then stand(looks, project, lacks >= 2 and steps, now) end
  end
  if given ~= '' and redis.call('ZSCORE', rounds, project) == given then
    local due = math.min(after < 0 and math.huge or now + after, announcedFor(project))
    if due < math.huge then
      redis.call('ZADD', rounds, string.format('%.0f', due), project)
    else
      redis.call('ZREM', rounds, project)
    end
  elseif after >= 0 then
    pull(project, now + after)
  end
end

local answer = {0, 0}
local function give(project)
  -- A fraction that no pull has tells one giving from another.
  redis.call('ZADD', rounds, string.format('%.3f', now + hold + 0.5), project)
  if announcedFor(project) <= now then redis.call('ZREM', announced, project) end
  answer[#answer + 1], answer[#answer + 2] = project, redis.call('ZSCORE', rounds, project)
end

-- give_first gives n of the first who wait. They keep their place until a round finds that nothing waits any more.
local function give_first(line, n)
  for _, project in ipairs(n > 0 and first(line, now) or {}) do
    local at = tonumber(redis.call('ZSCORE', rounds, project) or 0)
    -- No round of it is under way; one given much later than now is of before the time was set back.
    if n > 0 and (at <= now or at % 1 == 0 or at > now + 2 * hold) then
      n = n - 1
      give(project)
    end
  end
  return redis.call('EXISTS', line.since)
end
answer[2] = give_first(queue, tonumber(ARGV[4])) + 2 * give_first(looks, tonumber(ARGV[5]))
local due = redis.call('ZRANGEBYSCORE', rounds, '-inf', now, 'LIMIT', 0, ARGV[3])
for i = 1, #due do give(due[i]) end
local head = redis.call('ZRANGE', rounds, 0, 0, 'WITHSCORES')
answer[1] = head[2] and math.ceil(math.max(0, tonumber(head[2]) - now)) or -1
return answer
