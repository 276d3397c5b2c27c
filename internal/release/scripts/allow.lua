-- Lets more stop calls out that nobody confirmed. Put after window.lua.
--
-- If more calls count than may go out, as the limit was higher, those are no longer in the way: they are allowed in the
-- minutes in which they were made, the oldest first, and so count no longer when the calls themselves don't.
--
-- KEYS  window
-- ARGV  now, how many, the window limit (0: none)
local counts, now, n, most = KEYS[1], tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local w = window(counts, now, most)
local over = most > 0 and math.max(0, w.used - w.allowed - most) or 0
for minute = w.minute - COUNTS + 1, w.minute do
  if over == 0 then break end
  local f = redis.call('HMGET', counts, 'u' .. minute, 'a' .. minute)
  local some = math.min(over, math.max(0, tonumber(f[1] or 0) - tonumber(f[2] or 0)))
  if some > 0 then redis.call('HINCRBY', counts, 'a' .. minute, some) end
  over = over - some
end
redis.call('HINCRBY', counts, 'a' .. w.minute, n)
return 1
