-- Forgets a project that has no batch any more. A pause or a hold stays, and so does what counts for the window limit. Put
-- after window.lua.
--
-- KEYS  state:pending, state:stopping, ended, uncounted, times, control, limits, window
-- ARGV  now
-- Returns 1 when the project has nothing left that is to be forgotten later.
local pending, stopping, ended, uncounted, times, control, limits, counts = unpack(KEYS)
if redis.call('EXISTS', pending, stopping, ended, uncounted) > 0 then
  return 0
end
local w = window(counts, tonumber(ARGV[1]), 0)
if w.used > 0 or w.allowed > 0 then
  return 0
end
redis.call('DEL', times, limits, counts)
local held = redis.call('HMGET', control, 'paused', 'hold')
if not held[1] and not held[2] then
  redis.call('DEL', control)
end
return 1
