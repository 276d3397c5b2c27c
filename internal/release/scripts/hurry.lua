-- Makes steps due now that wait because their calls were refused for their credential.
--
-- KEYS  refused, then the sets in which they may wait
-- ARGV  now, until when their calls were refused (ms): every worker that learns that a hold has ended asks, and a step
--       that was refused again by then is to wait
-- Returns how many were to wait for longer. One that has gone on since is left alone.
local hurried = 0
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2])) do
  local id, hop, job = string.match(member, '^([^:]*):(%d+):(.*)$')
  local waits = id .. ':' .. string.format('%.0f', hop + 1) .. ':' .. job
  for i = 2, #KEYS do hurried = hurried + redis.call('ZADD', KEYS[i], 'XX', 'LT', 'CH', ARGV[1], waits) end
end
return hurried
