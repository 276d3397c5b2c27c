-- Notes that the API answered 429: no call of the project goes out for a while, and then fewer a second than before.
-- Calls that had gone out before the latest cut say nothing about the rate since: one congestion counts once.
--
-- KEYS  control
-- ARGV  now, for how long (ms), 1 when the API said for how long, when the refused call was claimed (ms), rate configured,
--       the limit that the API told (calls per second; 0: none; -1: the rate is left alone, it was a login), the step
--       (a member; "list" for a list call, "-" for any other)
-- Returns 1 when it was not parked before.
local control, now, wait, told_wait, went = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4])
local conf, limit = tonumber(ARGV[5]), tonumber(ARGV[6])
local f = redis.call('HMGET', control, 'cut', 'base', 'second', 'called', 'before', 'parked', 'told', 'thaw', 'hold', 'probe')
local cut, parked = tonumber(f[1] or 0), tonumber(f[6] or 0)
local till = now + wait
if parked < now or told_wait and till > parked then
  redis.call('HSET', control, 'parked', string.format('%.0f', till))
else
  till = parked
end
if f[9] and f[10] == ARGV[7] then -- the probe of a hold was refused, which says nothing: it is made again afterwards
  redis.call('HSET', control, 'probe_at', string.format('%.0f', till))
end
local second = math.floor(now / 1000)
local seen = 0
if f[3] == tostring(second) then
  seen = math.max(tonumber(f[4]), tonumber(f[5] or 0))
elseif f[3] == tostring(second - 1) then
  seen = tonumber(f[4])
end
count(control, now, -1) -- it was refused: the API does not count it
if limit > 0 then
  redis.call('HSET', control, 'base', limit, 'told', 1, 'cut', string.format('%.0f', till))
elseif limit == 0 and went >= cut then
  local rate = steadyOf(now, conf, tonumber(f[2] or nil), cut, f[7] == '1')
  if rate == INF then -- a late answer: the last second in which anything was called tells
    rate = seen > 0 and seen or math.max(tonumber(f[4] or 0), tonumber(f[5] or 0))
  elseif seen > rate / 2 then
    rate = math.min(rate, math.max(seen, 0.8 * rate))
  end
  rate = math.max(0.8 * rate, 0.5, conf / 50)
  redis.call('HSET', control, 'base', string.format('%.4f', rate), 'told', 0, 'cut', string.format('%.0f', till),
    'at', string.format('%.0f', till), 'stops', 0, 'looks', 0)
end
return parked > now and 0 or 1
