-- Says which projects are due for a round, and gives them to the caller for a while.
--
-- KEYS  rounds (sorted set: project by when its next round is due), announced (sorted set: project by when the round is
--       due that finds what was announced, see announce.lua)
-- ARGV  now, for how long (ms), how many, then for each round that is over: project, when it was given ("" for a project
--       that only needs a round), when the next one is due (ms from now; -1: never)
-- Returns when the first of the others is due (ms from now; -1: there is none), then each project with the time that its
-- round is the caller's until.
--
-- A round that is over settles its project's next time only if nobody has asked for an earlier one meanwhile, and no
-- later than what was announced: it may not have seen that, unless it was given at that time or later.
local rounds, announced, now, hold, most = KEYS[1], KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
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

for i = 4, #ARGV, 3 do
  local project, given, after = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
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

local due = redis.call('ZRANGEBYSCORE', rounds, '-inf', now, 'LIMIT', 0, most)
local answer = {0}
for i = 1, #due do
  -- A fraction that no pull has tells one giving from another.
  local till = string.format('%.3f', now + hold + 0.5)
  redis.call('ZADD', rounds, till, due[i])
  if announcedFor(due[i]) <= now then redis.call('ZREM', announced, due[i]) end
  answer[#answer + 1], answer[#answer + 2] = due[i], redis.call('ZSCORE', rounds, due[i])
end
local first = redis.call('ZRANGE', rounds, 0, 0, 'WITHSCORES')
answer[1] = first[2] and math.ceil(math.max(0, tonumber(first[2]) - now)) or -1
return answer
