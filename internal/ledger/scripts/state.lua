-- Records how many stops a batch that nobody confirmed is going to have in a project. Put after hold.lua. A batch whose
-- stops have all been allowed is not held by a producer that repeats itself; what more it brings is, as it comes.
--
-- KEYS  batch, ended, limits
-- ARGV  now, batch, how many stops, why it is held from the start ("": it is not)
local batch, ended, limits = unpack(KEYS)
local now, batch_id, stops, words = unpack(ARGV)
redis.call('HSETNX', batch, 'stated', stops)
local n = redis.call('HMGET', batch, 'total', 'allowed', 'stated')
local allowed = n[2] and n[1] == n[2] and tonumber(n[1]) >= tonumber(n[3]) -- all that it may bring
if words ~= '' and not allowed then hold(limits, batch_id, now, 'batch_limit', words) end
-- If nothing is opened, it is forgotten as a batch that has just ended; so is one that ended long ago.
if not redis.call('HGET', batch, 'created') or redis.call('ZSCORE', ended, batch_id) then
  redis.call('ZADD', ended, 'GT', now, batch_id)
end
return 1
