-- Parks a project's bucket after a 429: no call goes out for a while, and then fewer a second than before.
-- Calls that had gone out before the last cut say nothing about the rate since: one congestion counts once.
--
-- KEYS  bucket
-- ARGV  how long (microseconds), when the refused call got leave (microseconds of Redis' clock), calls per second
--       (0: no limit), burst, 1 when the API said how long
-- Returns 1 when it was not parked before.
local bucket = KEYS[1]
local wait, went, conf, burst, told = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local now = clock()
local f = redis.call('HMGET', bucket, 'parked', 'peak', 'cut', 'thaw', 'second', 'count', 'before')
for i = 1, #f do f[i] = tonumber(f[i] or nil) end
local parked, peak, cut = f[1] or 0, f[2], f[3] or 0
local till = now + wait
if parked <= now or (told and till > parked) then
  parked = till
end
if went >= cut then
  -- What went out in the last second is a better guess at the limit than what was allowed, but no proof. When that
  -- was little, it was too much at once, and the rate itself not too high. So it was, too, when a rate that somebody
  -- has configured was kept to without a refusal for a minute: if not, the next one follows soon.
  local rate, seen = rateAt(now, conf, peak, cut, f[4] or 0), measured(now, f[5], f[6] or 0, f[7] or 0)
  if rate == INF then
    rate = math.max(seen, 5 / 0.7)
  elseif seen >= rate / 2 and (conf == 0 or cut > now - 60 * 1000000) then
    rate = math.min(rate, math.max(seen, 0.8 * rate))
  end
  peak = math.max(rate, math.max(0.2, 0.02 * conf) / 0.7)
  -- Nothing is saved up for the moment it opens.
  local gap = 1000000 / (0.7 * peak)
  local empty = whole(parked + math.max(0, burst - 1) * gap)
  redis.call('HSET', bucket, 'peak', string.format('%.6f', peak), 'full', empty, 'stops', empty)
end
redis.call('HSET', bucket, 'parked', whole(parked), 'cut', whole(math.max(cut, parked)))
redis.call('EXPIRE', bucket, 3600 + math.ceil(wait / 1000000))
return (f[1] or 0) > now and 0 or 1
