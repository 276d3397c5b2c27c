-- Lets stops out of where held ones wait that no held batch keeps there. Put after lane.lua and keep.lua.
--
-- KEYS  waiting:limited, waiting:held, waiting:stop, waiting:small, limits, latest, state:pending, then the stops
-- ARGV  now, then the id of each stop
local k = {limited = KEYS[1], held = KEYS[2], [''] = KEYS[3], small = KEYS[4], limits = KEYS[5], latest = KEYS[6],
  pending = KEYS[7]}

for i = 8, #KEYS do
  local f = redis.call('HMGET', KEYS[i], 'lane', 'withdrawn')
  if f[1] == 'held' and not f[2] then keep(KEYS[i], ARGV[i - 6], ARGV[1], k, '') end
end
return 1
