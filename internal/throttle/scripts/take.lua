-- May one call to the API of this project go out now? Whoever can't go gets a place in line.
-- All times in microseconds, but for the halt's, which are in ms.
--
-- KEYS  bucket (hash), halt of the project, pause of the project
-- ARGV  calls per second (0: no limit), burst, class ("stop", "screen", "poll"),
--       how it comes: "new", "back" (to a place in line), "paid" (it has sat out what it was told to sit out),
--       1 when it may sit out a short wait, when the fleet's last halt was lifted (0: never),
--       how long the fleet is halted (0: it is not), how long a probe may take (ms)
-- Returns {answer, time now, time to wait, why, the API's words}:
--   go; probe (go, in spite of the halt); paused; sit (wait, then come with "paid": the call is charged);
--   line (a place in line: come back then); far (the line is too long: come then, as new)
local bucket, halt, pause = unpack(KEYS)
local conf, burst, class, how, sit = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5] == '1'
local thaw, hold = tonumber(ARGV[6]), tonumber(ARGV[7])
local SECOND = 1000000
local SIT = SECOND -- the longest wait to sit out, and so how far ahead calls are charged
local HORIZON = 600 * SECOND -- the farthest place
local SHARE = 0.2 -- of the rate, for polls and screens while stops stand in line
local now = clock()
local why, words = 'rate', ''

if hold > 0 then
  hold = now + hold
  thaw = hold
else
  if class == 'stop' and redis.call('EXISTS', pause) == 1 then
    return {'paused', now, 0, '', ''}
  end
  local h = redis.call('HMGET', halt, 'reason', 'detail', 'probe', 'probing')
  if h[1] then
    local ms, till = math.floor(now / 1000), tonumber(h[3])
    local probing = tonumber(h[4] or 0)
    if probing > ms then -- its answer will be here soon
      till = math.min(probing, ms + 2000)
    elseif till <= ms then
      redis.call('HSET', halt, 'probing', whole(ms + tonumber(ARGV[8])))
      return {'probe', now, 0, h[1], h[2]}
    end
    hold, why, words = till * 1000, h[1], h[2]
    thaw = hold
  end
end

local late = class == 'stop' and 'late-stop' or 'late'
local f = redis.call('HMGET', bucket, 'parked', 'peak', 'cut', 'thaw', 'full', 'stops', 'others',
  'stop', 'screen', 'poll', 'late-stop', 'late', 'second', 'count', 'before')
for i = 1, #f do f[i] = tonumber(f[i] or nil) end
local parked, peak, cut = f[1] or 0, f[2], f[3] or 0
local full, stops, others = math.max(f[5] or 0, now), math.max(f[6] or 0, now), math.max(f[7] or 0, now)
local stopLine = math.max(f[8] or 0, f[11] or 0)
thaw = math.max(thaw, f[4] or 0)
if parked > now and parked > hold then
  hold, why, words = parked, 'throttled', ''
end

-- gapAt is the time between two calls of this class at a moment. Stops always leave the others their share: they
-- take their places up to a second ahead, when nobody knows yet who else will come.
local function gapAt(at)
  local gap = SECOND / rateAt(at, conf, peak, cut, thaw)
  if class == 'stop' then
    return gap / (1 - SHARE)
  end
  return stopLine > at and gap / SHARE or gap
end

local function keep(seconds, ...)
  redis.call('HSET', bucket, ...)
  redis.call('EXPIRE', bucket, 3600 + math.ceil(seconds))
end

local rate = rateAt(now, conf, peak, cut, thaw)
local gap = SECOND / rate
if rate < (conf > 0 and conf or INF) then
  burst = math.min(burst, 1) -- an API that has just refused a call gets them one by one
end

-- count counts a call that goes out now.
local function count()
  local second, n, before = math.floor(now / SECOND), f[14] or 0, f[15] or 0
  if f[13] ~= second then
    before, n = f[13] == second - 1 and n or 0, 0
  end
  keep(0, 'second', second, 'count', n + 1, 'before', before)
end

local streaming = stopLine > now or (f[6] or 0) > now - SECOND -- stops go out one after the other

-- charge takes what a call costs. "full" counts all calls and holds the others back; stops only mind
-- "stops", what they took themselves. "others" is what polls and screens are sure of.
local function charge()
  local meter, value = 'stops', stops + gapAt(now)
  if class ~= 'stop' then
    local sure = gap / SHARE
    meter, value = 'others', math.min(others + sure, now + 2 * math.max(sure, SECOND))
  end
  keep(0, 'full', whole(math.min(full + gap, now + math.max(gap, 5 * SECOND))), meter, whole(value))
end

-- Those who can't sit have come for a whole second and may use some of it at once: half of it, as far as that is no
-- more than eight calls or an eighth of a second, and polls and screens half as much. An API takes that for a burst.
local ahead = 0
if (how == 'back' or class == 'screen') and not sit then
  ahead = math.min(SECOND / 2, math.max(SECOND / 8, 8 * gap)) * (class == 'stop' and 1 or 0.5)
end

-- free is when this call can go: the theoretical arrival time of a generic cell rate bucket, less its depth.
local free = now
if gap > 0 then
  if class == 'stop' then
    local g = gapAt(now)
    free = stops + g - math.max(g, burst * g, ahead)
  else
    free = full + gap - math.max(gap, burst * gap * (class == 'poll' and 0.5 or 0.75), ahead)
    if streaming and free > now then
      local sure = gap / SHARE -- saved up for a moment
      local share = others + sure - math.max(sure, SECOND / 4)
      -- Where stops take all that they may, they will also take what is free later.
      free = (stopLine > now or stops > now) and share or math.min(free, share)
    end
  end
end

local line = f[class == 'stop' and 11 or 12] or 0 -- of those who had a place and could not go
if how == 'new' then
  line = math.max(line, f[class == 'stop' and 8 or 9] or 0, class == 'poll' and f[10] or 0)
end
if hold <= now then
  if how == 'paid' or gap == 0 then
    count()
    return {'go', now, 0, '', ''}
  end
  -- A line that ends within the second does not hold up who is new: whoever comes takes what is free next. Keeping
  -- time for those who come back would leave it unused until they do, and then be used twice.
  if how == 'back' or line <= (sit and now + SIT or now) then
    if free <= now then
      charge()
      count()
      return {'go', now, 0, '', ''}
    end
    if sit and free - now <= SIT then
      charge()
      return {'sit', now, math.ceil(free - now), why, words}
    end
  end
end

local place = math.max(line + gapAt(math.max(line, hold, now)), free, hold, now + 1)
if place - now > HORIZON then
  return {'far', now, HORIZON / 2, why, words}
end
keep((place - now) / SECOND, how == 'new' and class or late, whole(place))
return {'line', now, math.ceil(place - now), why, words}
