-- Halts all calls of a scope or, when they are halted already, puts off the
-- next probe. Times in ms.
--
-- KEYS  halt (hash)
-- ARGV  reason, detail, first wait, longest wait, 1 when the caller was the probe
-- Returns 1 when it was not halted before.
local key = KEYS[1]
local reason, detail, first, longest, probe = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if redis.call('EXISTS', key) == 0 then
  redis.call('HSET', key, 'reason', reason, 'detail', detail, 'since', now, 'probes', 0, 'probe', now + first)
  return 1
end
if probe then
  local n = redis.call('HINCRBY', key, 'probes', 1)
  redis.call('HSET', key, 'reason', reason, 'detail', detail,
    'probe', string.format('%.0f', now + math.min(longest, first * 2 ^ math.min(n, 20))))
  redis.call('HDEL', key, 'probing')
end
return 0
