-- Notes that the screen of one hop is at work.
--
-- KEYS  screen
-- ARGV  hop, now (ms)
if redis.call('HGET', KEYS[1], 'hop') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'alive', ARGV[2])
end
return 1
