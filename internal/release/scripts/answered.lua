-- Notes that the API answered a call of the project, or accepted the credential: what was held back goes on.
--
-- KEYS  control, of a project or of an account; of an account also the set of accounts in trouble
-- ARGV  now; of an account also its name
-- Returns 1 when a hold has ended.
local control = KEYS[1]
redis.call('HDEL', control, 'failures', 'failed_stops', 'failed_why', 'refused_at', 'refused_words')
if KEYS[2] then redis.call('SREM', KEYS[2], ARGV[2]) end
if redis.call('HDEL', control, 'hold') == 0 then
  return 0
end
redis.call('HDEL', control, 'hold_words', 'hold_since', 'probes', 'probe', 'probe_at')
redis.call('HSET', control, 'thaw', ARGV[1])
return 1
