-- How many calls a second a project may make. Put before the scripts that ask.
-- All times in microseconds of Redis' clock.

local INF = math.huge

local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

local function whole(x) return string.format('%.0f', x) end

-- rateAt is the rate at a moment, in the future too: what the configuration allows (0: no limit), less
-- after a 429, and less after a standstill. peak is the rate at which the API said 429, cut when the
-- bucket opened again. From 70 % of the peak it is back near it within seconds, stays there for a while, which
-- is where the limit probably lies, and then grows ever faster, to twice as much in a minute. Where nothing is
-- configured, four times the peak is as good as no limit.
-- thaw is when a standstill ended: from a tenth the rate doubles every 3 seconds.
local function rateAt(at, conf, peak, cut, thaw)
  local rate = conf > 0 and conf or INF
  if peak then
    local s = math.max(0, at - cut) / 1000000
    local r
    if s < 3 then
      r = peak * (0.7 + 0.25 * s / 3)
    else
      r = 0.95 * peak * (1 + ((s - 3) / 60) ^ 4)
    end
    if conf > 0 or r < 4 * peak then
      rate = math.min(rate, r)
    end
  end
  if thaw > 0 then
    local s = math.max(0, at - thaw) / 1000000
    if s < 30 then
      rate = math.min(rate, (conf > 0 and math.max(conf / 10, 0.2) or 5) * 2 ^ (s / 3))
    end
  end
  return rate
end

-- measured is how many calls went out in the last whole second or in this one, whichever is more.
local function measured(now, second, count, before)
  local age = math.floor(now / 1000000) - (second or 0)
  if age == 0 then
    return math.max(count, before)
  end
  return age == 1 and count or 0
end
