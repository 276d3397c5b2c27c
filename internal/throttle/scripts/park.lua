-- Parks a project's bucket: no call goes out for a while.
--
-- KEYS  bucket
-- ARGV  how long (microseconds)
-- Returns 1 when it was not parked before.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local parked = tonumber(redis.call('HGET', KEYS[1], 'parked') or 0)
local till = now + tonumber(ARGV[1])
if till > parked then
  redis.call('HSET', KEYS[1], 'parked', string.format('%.0f', till))
end
redis.call('EXPIRE', KEYS[1], 3600 + math.ceil(tonumber(ARGV[1]) / 1000000))
return parked > now and 0 or 1
