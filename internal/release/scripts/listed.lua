-- Notes how a list check ended, and when the next one is due. Put after rate.lua.
--
-- KEYS  control, watched
-- ARGV  now, when it began (ms), when the next one is due (ms from now), "read", "peeked", "long", "failed" or "useless",
--       why, for how long a useless list is left alone (ms), how many failed ones in a row make it useless (0: this one
--       does not count), how many pages and jobs it had, how many watched jobs have left it, 1 when the next one begins
--       with a look at its length, how many calls it took that were not paid (negative: were paid and not made), rate
--       configured, burst, its number
-- Returns how it ended, and why. A useless list is left alone from now on.
local control, now, began, after = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local how, why, rest, enough = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local left_now = tonumber(ARGV[10])
local f = redis.call('HMGET', control, 'cutoff', 'list_left', 'list_wrong', 'list_check', 'list_joined')
local left, wrong = tonumber(f[2] or 0), tonumber(f[3] or 0)
local newest = (f[4] or '0') == ARGV[15]
local told = how == 'read' or how == 'peeked'

local function keep(...) redis.call('HSET', control, ...) end

local unpaid = tonumber(ARGV[12])
if unpaid ~= 0 then
  local b = load(control, now, tonumber(ARGV[13]), tonumber(ARGV[14]))
  pay(b, unpaid)
  save(control, now, b)
end
if newest then -- else another check has begun since, which tells more
  if tonumber(f[5] or 0) >= began then after = math.min(after, 4000) end -- it knew nothing of what has joined the list since
  keep('list_at', string.format('%.0f', now + after))
  if how == 'read' or (told and left_now == 0) then keep('list_since', string.format('%.0f', began)) end
  if told or how == 'long' then keep('list_peek', ARGV[11], 'list_pages', ARGV[8]) end
  if how == 'long' then keep('list_long', string.format('%.0f', began)) end
  if told and left_now > 0 then keep('list_moved', string.format('%.0f', began)) end
  if how == 'read' then
    keep('list_others', math.max(0, tonumber(ARGV[9]) - redis.call('ZCARD', KEYS[2]) + left_now))
  end
end
if how == 'read' then redis.call('HDEL', control, 'list_long') end
if told or how == 'long' then redis.call('HDEL', control, 'list_failures') end
if how == 'read' then
  if tonumber(f[1] or 0) < began then keep('cutoff', string.format('%.0f', began)) end
  if wrong >= 10 and 2 * wrong > left and 5 * wrong > tonumber(ARGV[9]) then
    how, why = 'useless', 'wrong about ' .. wrong .. ' jobs of ' .. left
  elseif left >= 200 then
    redis.call('HDEL', control, 'list_left', 'list_wrong')
  end
elseif how == 'failed' and enough > 0 and redis.call('HINCRBY', control, 'list_failures', 1) >= enough then
  how = 'useless'
end
if how ~= 'useless' then
  return {how, why}
end
redis.call('HDEL', control, 'list_failures', 'list_left', 'list_wrong')
redis.call('HSET', control, 'list_rests', string.format('%.0f', now + rest), 'list_why', why)
return {how, why}
