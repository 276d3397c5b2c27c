-- Lifts a halt, and notes when: calls start again slowly.
--
-- KEYS  halt (hash), bucket (hash) of the same scope
local t = redis.call('TIME')
if redis.call('DEL', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[2], 'thaw', string.format('%.0f', t[1] * 1000000 + t[2]))
  redis.call('EXPIRE', KEYS[2], 3600)
end
return 0
