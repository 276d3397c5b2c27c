-- Notes that the API answered a call of the project: whatever was held back because of it goes on.
--
-- KEYS  control
-- ARGV  now
-- Returns 1 when a hold has ended.
local control = KEYS[1]
redis.call('HDEL', control, 'failures', 'failed_stops', 'failed_why')
if redis.call('HDEL', control, 'hold') == 0 then
  return 0
end
redis.call('HDEL', control, 'hold_words', 'hold_since', 'probes', 'probe', 'probe_at')
redis.call('HSET', control, 'thaw', ARGV[1])
return 1
