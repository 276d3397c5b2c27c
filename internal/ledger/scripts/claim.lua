-- Reads a stop for the task of one hop. A claim for the stop call is marked, so
-- that a second claim of the same hop knows that the first may have called.
--
-- KEYS  stop
-- ARGV  hop, kind
-- Returns the fields of the stop, as HGETALL does: empty when there is none.
local fields = redis.call('HGETALL', KEYS[1])
if ARGV[2] ~= 'stop' then
  return fields
end
local f = {}
for i = 1, #fields, 2 do
  f[fields[i]] = fields[i + 1]
end
if (f.state == 'pending' or f.state == 'stopping') and f.hop == ARGV[1] and f.kind == 'stop' then
  if f.calling == f.hop then
    redis.call('HSET', KEYS[1], 'unsure', 1)
    fields[#fields + 1], fields[#fields + 2] = 'unsure', '1'
  else
    redis.call('HSET', KEYS[1], 'calling', f.hop)
  end
end
return fields
