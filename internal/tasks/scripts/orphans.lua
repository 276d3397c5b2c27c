-- Lists the tasks that asynq calls active and nobody holds a lease on, and those whose lease is over although they are
-- not active: asynq's recoverer reads both. Where the task waits elsewhere, just the lease is removed.
--
-- KEYS  active (list), lease (sorted set)
-- ARGV  since when a lease is too old (Unix s), how many of the oldest tasks and leases are looked through, what the
--       keys of tasks begin with
-- Returns their ids, oldest first.
local too_old = tonumber(ARGV[1])
local ids, orphans, active = redis.call('LRANGE', KEYS[1], -ARGV[2], -1), {}, {}
for i = #ids, 1, -1 do
  active[ids[i]] = true
  if tonumber(redis.call('ZSCORE', KEYS[2], ids[i]) or 0) <= too_old then
    orphans[#orphans + 1] = ids[i]
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', too_old, 'LIMIT', 0, ARGV[2])) do
  local state = not active[id] and redis.pcall('HGET', ARGV[3] .. id, 'state') -- a table if the record is no hash
  if type(state) == 'string' and state ~= 'active' then
    redis.call('ZREM', KEYS[2], id)
  elseif not active[id] then
    orphans[#orphans + 1] = id
  end
end
return orphans
