-- Counts a further call of a step. It goes out all the same: what is released next waits for it, and not the worker
-- that makes it. Looks keep their share. While calls of the project are held, the debt is two calls at most.
--
-- KEYS  control
-- ARGV  now, rate configured, burst
local control, now, conf, burst = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local b = load(control, now, conf, burst)
if b.limited and (b.stops > -1 or not redis.call('HGET', control, 'hold')) then b.stops = b.stops - 1 end
count(control, now, 1)
save(control, now, b)
return 1
