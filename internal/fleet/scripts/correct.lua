-- Corrects the fleet's time after Redis' clock was set forward, unless somebody has done so already.
--
-- KEYS  workers, clock, heard (see beat.lua)
-- ARGV  the shift as it was seen, the shift that it should have, what time it then is (ms), 1 of a worker: since its
--       beat noted the gap, one that knows may have found the time right, and forgotten that gap
-- Returns the shift that is in force.
--
-- Signs of life that bear the wrong time are corrected, too: the next beat would take them for the fleet's time. Since
-- when those workers have been heard to listen bears it as well: that begins anew. The gap that told of the jump
-- (clock.lua) tells of no other one.
local workers, clock, heard, now = KEYS[1], KEYS[2], KEYS[3], ARGV[3]
local shift = tonumber(redis.call('HGET', clock, 'shift') or 0)
if shift ~= tonumber(ARGV[1]) or ARGV[4] == '1' and (redis.call('HGET', clock, 'gaps') or '') == '' then
  return shift
end
redis.call('HSET', clock, 'shift', ARGV[2])
redis.call('HDEL', clock, 'gaps')
if tonumber(redis.call('HGET', clock, 'left') or 0) > tonumber(now) then
  redis.call('HSET', clock, 'left', now)
end
local ahead = redis.call('ZREVRANGEBYSCORE', workers, '+inf', '(' .. now, 'LIMIT', 0, 1000)
for i = 1, #ahead do
  redis.call('ZADD', workers, now, ahead[i])
  redis.call('HDEL', heard, ahead[i])
end
return tonumber(ARGV[2])
