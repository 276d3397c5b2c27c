-- Announces work of projects: each gets a round by then, and one that begins at that time or later.
--
-- KEYS  rounds (sorted set: project by when its next round is due), announced (sorted set: project by when the round is
--       due that finds what was announced)
-- ARGV  when the rounds are due, 1 for those projects only that have work already, projects
local rounds, announced, due, known = KEYS[1], KEYS[2], tonumber(ARGV[1]), ARGV[2] == '1'
for i = 3, #ARGV do
  local project = ARGV[i]
  local at = redis.call('ZSCORE', rounds, project)
  if at or not known then
    local before = redis.call('ZSCORE', announced, project)
    if not before or tonumber(before) < due then redis.call('ZADD', announced, due, project) end
    -- It takes the place of a giving, which a fraction tells: versions of before go by that alone.
    if not at or tonumber(at) > due or at % 1 > 0 then redis.call('ZADD', rounds, due, project) end
  end
end
return 1
