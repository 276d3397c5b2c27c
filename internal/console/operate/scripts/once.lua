-- Takes an order for whoever carries it out, unless it was taken before: then what is known of it.
--
-- KEYS  the order's record: print, at, answer
-- ARGV  fingerprint, now, how long an order without an answer keeps others out (both in milliseconds), life in seconds,
--       "take" or "look"
local print, now, keeps, life, mode = unpack(ARGV)
local known = redis.call('HMGET', KEYS[1], 'print', 'at', 'answer')
if known[1] and (known[1] ~= print or known[3] or tonumber(now) - tonumber(known[2]) < tonumber(keeps)) then return known end
if mode == 'take' then
  redis.call('HSET', KEYS[1], 'print', print, 'at', now)
  redis.call('EXPIRE', KEYS[1], life)
end
return {}
