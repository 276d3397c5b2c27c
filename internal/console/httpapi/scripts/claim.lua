-- Takes an Idempotency-Key for a request, or says why not.
--
-- KEYS  the key's record: print, owner, until, answer
-- ARGV  fingerprint, owner, now and lease in milliseconds, life in seconds
local print, owner, now, lease, life = unpack(ARGV)
local known = redis.call('HMGET', KEYS[1], 'print', 'until', 'answer')
if known[1] and known[1] ~= print then return {'other'} end
if known[3] then return {'answered', known[3]} end
if known[2] and tonumber(known[2]) > tonumber(now) then return {'busy'} end
redis.call('HSET', KEYS[1], 'print', print, 'owner', owner, 'until', now + lease)
redis.call('EXPIRE', KEYS[1], life)
return {'yours'}
