-- Announces work of projects: each gets a round by then.
--
-- KEYS  rounds (sorted set: project by when its next round is due)
-- ARGV  when the rounds are due, 1 for those projects only that have work already, projects
--
-- A round that is under way may not see the work: it must not settle a later time. So what is announced takes the place
-- of the giving (rounds.lua), which a fraction tells. If nobody settles that, it runs out when the announced round is
-- due.
local rounds, due, known = KEYS[1], tonumber(ARGV[1]), ARGV[2] == '1'
for i = 3, #ARGV do
  local at = redis.call('ZSCORE', rounds, ARGV[i])
  at = at and tonumber(at)
  if at and (at > due or at % 1 > 0) or not at and not known then
    redis.call('ZADD', rounds, string.format('%.0f', due), ARGV[i])
  end
end
return 1
