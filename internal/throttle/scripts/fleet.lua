-- What holds the calls of all projects back? Asks to be the single probe when the fleet is halted: a probe
-- that never reports back loses its right after a while. The halt's times are in ms.
--
-- KEYS  halt of the fleet (hash), pause of the fleet
-- ARGV  1 for a stop, how long a probe may take (ms)
-- Returns {answer, time now, time to wait (microseconds), why, the API's words}: clear; paused; probe (go); halted
local halt, pause = unpack(KEYS)
local now = clock()
if ARGV[1] == '1' and redis.call('EXISTS', pause) == 1 then
  return {'paused', now, 0, '', ''}
end
local h = redis.call('HMGET', halt, 'reason', 'detail', 'probe', 'probing')
if not h[1] then
  return {'clear', now, 0, '', ''}
end
local ms, till = math.floor(now / 1000), tonumber(h[3])
local probing = tonumber(h[4] or 0)
if probing > ms then -- its answer will be here soon
  return {'halted', now, math.min(probing - ms, 2000) * 1000, h[1], h[2]}
end
if till > ms then
  return {'halted', now, (till - ms) * 1000, h[1], h[2]}
end
redis.call('HSET', halt, 'probing', whole(ms + tonumber(ARGV[2])))
return {'probe', now, 0, h[1], h[2]}
