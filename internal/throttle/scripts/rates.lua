-- How many calls a second may go out now? Standstills and parks aside.
--
-- KEYS  bucket (hash)
-- ARGV  calls per second (0: no limit), when the fleet's last halt was lifted
-- Returns the rate as text; "inf": no limit
local f = redis.call('HMGET', KEYS[1], 'peak', 'cut', 'thaw')
local rate = rateAt(clock(), tonumber(ARGV[1]), tonumber(f[1] or nil), tonumber(f[2] or 0),
  math.max(tonumber(f[3] or 0), tonumber(ARGV[2])))
return rate == INF and 'inf' or string.format('%.6f', rate)
