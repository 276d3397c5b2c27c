-- Takes projects that have no stop in flight out of the register of projects with work.
--
-- KEYS  the register (sorted set: project by when stops were last asked for)
-- ARGV  since when an ask may still be under way (ms), then the projects
-- Returns how many were taken out: none of which somebody has asked for stops since then.
local register, since, n = KEYS[1], tonumber(ARGV[1]), 0
for i = 2, #ARGV do
  local at = redis.call('ZSCORE', register, ARGV[i])
  if at and tonumber(at) < since then n = n + redis.call('ZREM', register, ARGV[i]) end
end
return n
