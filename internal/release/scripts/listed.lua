-- Notes how a list check ended, and when the next one is due.
--
-- KEYS  control
-- ARGV  now, when it began (ms), when the next one is due (ms from now), "read", "failed" or "useless", why, for how long
--       a useless list is left alone (ms), how many failed ones in a row make it useless, how many pages and jobs it had
-- Returns 1 when the list is left alone from now on.
local control, now, began, after = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local how, why, rest, enough = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local f = redis.call('HMGET', control, 'cutoff', 'list_left', 'list_wrong')
local left, wrong = tonumber(f[2] or 0), tonumber(f[3] or 0)
redis.call('HSET', control, 'list_at', string.format('%.0f', now + after), 'list_pages', ARGV[8])
if how == 'read' then
  redis.call('HDEL', control, 'list_failures')
  if tonumber(f[1] or 0) < began then
    redis.call('HSET', control, 'cutoff', string.format('%.0f', began))
  end
  -- While many jobs begin to stop, some change pages as the list is read: a few of many are no fault of it.
  if wrong >= 10 and 2 * wrong > left and 5 * wrong > tonumber(ARGV[9]) then
    how, why = 'useless', 'wrong about ' .. wrong .. ' jobs of ' .. left
  elseif left >= 200 then
    redis.call('HDEL', control, 'list_left', 'list_wrong')
  end
elseif how == 'failed' and redis.call('HINCRBY', control, 'list_failures', 1) >= enough then
  how = 'useless'
end
if how ~= 'useless' then
  return 0
end
redis.call('HDEL', control, 'list_failures', 'list_left', 'list_wrong')
redis.call('HSET', control, 'list_rests', string.format('%.0f', now + rest), 'list_why', why)
return 1
