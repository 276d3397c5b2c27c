-- Lists the tasks that asynq calls active and nobody holds a lease on.
--
-- KEYS  active (list), lease (sorted set)
-- ARGV  since when a lease is too old (Unix s), how many of the oldest tasks are looked through
-- Returns their ids, oldest first.
local too_old = tonumber(ARGV[1])
local ids, orphans = redis.call('LRANGE', KEYS[1], -ARGV[2], -1), {}
for i = #ids, 1, -1 do
  if tonumber(redis.call('ZSCORE', KEYS[2], ids[i]) or 0) <= too_old then
    orphans[#orphans + 1] = ids[i]
  end
end
return orphans
