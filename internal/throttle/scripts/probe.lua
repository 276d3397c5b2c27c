-- Asks to be the single probe of a halted scope. A probe that never reports
-- back loses its right after a while. Times in ms.
--
-- KEYS  halt (hash)
-- ARGV  how long a probe may take
-- Returns {answer, ms to wait, reason, detail}: clear (not halted any more), probe (go), probing (somebody
--         else is), halted (wait).
local key = KEYS[1]
local h = redis.call('HMGET', key, 'reason', 'detail', 'probe', 'probing')
if not h[1] then
  return {'clear', 0, '', ''}
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if tonumber(h[4] or 0) > now then
  return {'probing', tonumber(h[4]) - now, h[1], h[2]}
end
if tonumber(h[3]) > now then
  return {'halted', tonumber(h[3]) - now, h[1], h[2]}
end
redis.call('HSET', key, 'probing', now + tonumber(ARGV[1]))
return {'probe', 0, h[1], h[2]}
