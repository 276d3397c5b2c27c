-- Releases the steps of one project that may run now.
--
-- KEYS  control, waiting:small, waiting:stop, waiting:look, released, watched, latest, uncounted
-- ARGV  now, room, rate configured, burst, after how long a watched stop is looked at that no list has shown, with and
--       without a list check (ms), least number of watched jobs for a list check, how many watched jobs this worker can
--       look at, 1 when the fleet is held ("stops" when its stop calls are), for how long a step at work may be silent,
--       how long a probe may take (ms), how many steps are released at most, the endpoint this worker calls ("": any)
-- What it returns is said in settle.lua, which ends it.
local control, small, large, look, released, watched, latest, uncounted = unpack(KEYS)
local now, room, conf, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local fallback, least, inline, fleet = tonumber(ARGV[5]), tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9]
local silence, probe_time, MOST = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])

local c = redis.call('HMGET', control, 'paused', 'parked', 'hold', 'probe_at', 'list_at', 'list_rests', 'cutoff', 'endpoint')
local paused = c[1] or fleet == 'stops'
local parked = tonumber(c[2] or 0) > now
local hold, probe_at = c[3], tonumber(c[4] or 0)
local elsewhere = ARGV[13] ~= '' and c[8] and c[8] ~= ARGV[13] -- another worker's
local open = not elsewhere and fleet ~= '1' and not parked and (not hold or probe_at <= now)
local b = load(control, now, conf, burst)
local watching = redis.call('ZCARD', watched)
local listing = least > 0 and watching >= least and tonumber(c[6] or 0) <= now
if not listing then fallback = tonumber(ARGV[6]) end
room = math.max(0, room - redis.call('ZCARD', released))
local since = now - fallback -- watched jobs that were seen before it are looked at
if listing then since = math.max(since, tonumber(c[7] or 0)) end
local stops, polls, jobs, went, more = {}, {}, {}, {}, false

local function pop(set, n, out)
  n = math.min(n, MOST)
  if n < 1 then return 0 end
  local due = redis.call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, n)
  if #due == 0 then return 0 end
  redis.call('ZREMRANGEBYRANK', set, 0, #due - 1)
  for i = 1, #due do
    out[#out + 1] = due[i]
    went[#went + 1], went[#went + 2] = now, due[i]
  end
  if #due == n then more = true end
  return #due
end

local function waits(set) return #redis.call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, 1) > 0 end

-- affordable is how many looks the rate allows. The next token of stops is not theirs while a stop call waits for it.
local function affordable()
  local kept = not paused and (waits(small) or waits(large)) and 1 or 0
  return b.limited and math.floor(b.looks + math.max(0, b.stops - kept)) or MOST
end

local function pay(n)
  if not b.limited then return end
  local own = math.min(b.looks, n)
  b.looks, b.stops = b.looks - own, b.stops - (n - own)
end

if open and hold then -- one probe at a time
  if pop(look, 1, polls) == 0 and not paused and pop(small, 1, stops) == 0 then
    pop(large, 1, stops)
  end
elseif open and room > 0 then
  if not paused then
    local n = math.min(MOST, room - math.floor(room / 5), math.floor(math.min(b.stops, MOST)))
    local first = pop(small, waits(large) and math.ceil(n * 0.8) or n, stops)
    first = first + pop(large, n - first, stops)
    if b.limited then b.stops = b.stops - first end
  end
  pay(pop(look, math.min(room - #stops, affordable()), polls))
  local n = math.min(MOST, inline, affordable())
  if n > 0 then
    jobs = redis.call('ZRANGEBYSCORE', watched, '-inf', '(' .. since, 'WITHSCORES', 'LIMIT', 0, n)
    for i = 1, #jobs, 2 do
      redis.call('ZADD', watched, now + 0.5, jobs[i]) -- if this worker does not look, it is found again
    end
    pay(#jobs / 2)
    if #jobs == 2 * n then more = true end
  end
end
if #went > 0 then redis.call('ZADD', released, unpack(went)) end
