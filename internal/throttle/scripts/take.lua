-- May one call to the API of this project go out now? One generic cell rate
-- bucket serves the whole fleet; whoever can't go gets a place in line.
--
-- KEYS  bucket (hash), halt of the project, pause of the project
-- ARGV  calls per second (0: no limit), burst, class ("stop" or "poll"), 1 when coming back to a place in line
-- Returns {answer, microseconds to wait}: go; parked; paused; halted; soon (came back, nothing free yet);
--         line (a place in line: come back then).
local bucket, halt, pause = unpack(KEYS)
local rate, burst, class, back = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1'
if class == 'stop' and redis.call('EXISTS', pause) == 1 then
  return {'paused', 0}
end
if redis.call('EXISTS', halt) == 1 then
  return {'halted', 0}
end
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local state = redis.call('HMGET', bucket, 'parked', 'full', 'stop', 'poll')
local parked = tonumber(state[1] or 0)
if parked > now then
  return {'parked', parked - now}
end
if rate <= 0 then
  return {'go', 0}
end

-- full is when a bucket that nobody takes from would be full again (the
-- theoretical arrival time). Polls leave half of the burst to stops.
local gap = 1000000 / rate
local full = math.max(tonumber(state[2] or 0), now)
local depth = math.max(gap, burst * gap * (class == 'stop' and 1 or 0.5))
local free = full + gap - depth
local line = tonumber(state[3] or 0)
if class == 'poll' then
  line = math.max(line, tonumber(state[4] or 0))
end

if free <= now and (back or line <= now) then
  redis.call('HSET', bucket, 'full', string.format('%.0f', full + gap))
  redis.call('EXPIRE', bucket, 3600)
  return {'go', 0}
end
if back then
  return {'soon', math.ceil(math.max(free - now, gap))}
end
line = math.max(line, free, now) + gap
redis.call('HSET', bucket, class, string.format('%.0f', line))
redis.call('EXPIRE', bucket, math.ceil((line - now) / 1000000) + 3600)
return {'line', math.ceil(line - now)}
