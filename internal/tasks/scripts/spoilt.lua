-- Lists the tasks of a sorted set whose records are lost or spoilt. asynq's forwarder stops at one that is no hash.
--
-- KEYS  scheduled, retry or archived (sorted set)
-- ARGV  what the keys of tasks begin with, the first and the last rank that are looked at
-- Returns their ids, lowest score first. A message that can be read has its task's id in it.
local spoilt = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], ARGV[2], ARGV[3])) do
  local msg = redis.pcall('HGET', ARGV[1] .. id, 'msg') -- a table if the record is no hash
  if type(msg) ~= 'string' or not string.find(msg, id, 1, true) then
    spoilt[#spoilt + 1] = id
  end
end
return spoilt
