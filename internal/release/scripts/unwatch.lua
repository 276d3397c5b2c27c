-- Forgets watched jobs whose stop is not watched.
--
-- KEYS  watched, active, then the stop of each item
-- ARGV  for each item: job id, id of its active stop as it was read ("" for none)
local watched, active = KEYS[1], KEYS[2]
for i = 3, #KEYS do
  local job, id = ARGV[2 * i - 5], ARGV[2 * i - 4]
  if (redis.call('HGET', active, job) or '') == id and (id == '' or redis.call('HGET', KEYS[i], 'kind') ~= 'watch') then
    redis.call('ZREM', watched, job)
  end
end
return 0
