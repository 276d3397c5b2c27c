-- Gives the next probe of a hold to one caller.
--
-- KEYS  control
-- ARGV  when the probe is due as the caller saw it (ms), when the one after it is, what its failure will be
--       known by, nonce
-- Returns 1 when the caller has it. The same nonce gets the same answer again.
if redis.call('HGET', KEYS[1], 'probe_by') == ARGV[4] then
  return 1
end
if redis.call('HGET', KEYS[1], 'hold') and redis.call('HGET', KEYS[1], 'probe_at') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'probe_at', ARGV[2], 'probe', ARGV[3], 'probe_by', ARGV[4])
  return 1
end
return 0
