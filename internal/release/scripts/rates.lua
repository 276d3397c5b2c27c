-- How many calls a second may go out now? Holds aside.
--
-- KEYS  control
-- ARGV  now, rate configured (0: no limit)
-- Returns the rate as text; "inf": no limit
local f = redis.call('HMGET', KEYS[1], 'base', 'cut', 'told', 'thaw')
local now = tonumber(ARGV[1])
local rate = steadyOf(now, tonumber(ARGV[2]), tonumber(f[1] or nil), tonumber(f[2] or 0), f[3] == '1') *
  thawed(now, tonumber(f[4] or nil))
return rate == INF and 'inf' or string.format('%.6f', rate)
