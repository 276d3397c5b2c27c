-- Makes the next probe of a halt due now; does nothing where there is none.
--
-- KEYS  halt (hash)
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'probe', 0)
end
return 0
