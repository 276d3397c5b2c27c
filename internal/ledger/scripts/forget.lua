-- Forgets a project that has no batch any more. A pause or a hold stays.
--
-- KEYS  state:pending, state:stopping, ended, uncounted, times, control
-- Returns 1 when the project has nothing left that is to be forgotten later.
local pending, stopping, ended, uncounted, times, control = unpack(KEYS)
if redis.call('EXISTS', pending, stopping, ended, uncounted) > 0 then
  return 0
end
redis.call('DEL', times)
local held = redis.call('HMGET', control, 'paused', 'hold')
if not held[1] and not held[2] then
  redis.call('DEL', control)
end
return 1
