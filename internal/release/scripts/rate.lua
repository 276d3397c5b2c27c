-- How many calls a second a project may make: a token bucket, kept in its control hash. Put before the scripts that
-- ask. Times in ms of the fleet's clock.
--
-- Two buckets: stop calls draw from "stops", which gets four fifths of the rate and what overflows from the other;
-- looks (detail and list calls) draw from "looks", which gets a fifth, and then from the first.
local INF = math.huge

-- steadyOf is the rate now, but for an outage. conf is what is configured (0: no limit). base is the rate after the
-- latest 429, which grows by a twentieth of it each second; a limit that the API itself has told does not grow. Where
-- nothing is configured, four times the base is as good as no limit.
local function steadyOf(now, conf, base, cut, told)
  local rate = conf > 0 and conf or INF
  if base then
    local r = base
    if not told then
      r = base * (1 + math.max(0, now - cut) / 20000)
    end
    if conf > 0 or told or r < 4 * base then
      rate = math.min(rate, r)
    end
  end
  return rate
end

-- thawed is the part of it that calls have so long after an outage: all of it within 5 s.
local function thawed(now, thaw)
  return thaw and now - thaw < 5000 and 0.2 + 0.8 * math.max(0, now - thaw) / 5000 or 1
end

-- load fills the buckets up to now.
local function load(control, now, conf, burst)
  local f = redis.call('HMGET', control, 'base', 'cut', 'told', 'thaw', 'at', 'stops', 'looks')
  local b = {base = tonumber(f[1] or nil), cut = tonumber(f[2] or 0)}
  b.steady = steadyOf(now, conf, b.base, b.cut, f[3] == '1')
  b.rate = b.steady * thawed(now, tonumber(f[4] or nil))
  if b.rate == INF then
    b.stops, b.looks = INF, 0
    return b
  end
  local most = b.base and math.max(1, math.min(conf > 0 and burst or INF, b.rate / 10)) or burst
  local seconds = math.max(0, now - tonumber(f[5] or now)) / 1000
  local looks = tonumber(f[7] or 0) + 0.2 * b.rate * seconds
  b.looks = math.min(looks, math.max(1, most / 2))
  b.stops = math.min(most, tonumber(f[6] or most) + 0.8 * b.rate * seconds + looks - b.looks)
  b.limited = true
  return b
end

local function save(control, now, b)
  if b.limited then
    redis.call('HSET', control, 'at', string.format('%.0f', now), 'stops', string.format('%.4f', b.stops),
      'looks', string.format('%.4f', b.looks))
  end
end

-- pay takes n calls out of the buckets.
local function pay(b, n)
  if not b.limited then return end
  local own = math.max(0, math.min(b.looks, n))
  b.looks, b.stops = b.looks - own, b.stops - (n - own)
end

-- count counts calls that go out, for what was called in the last second when a 429 comes.
local function count(control, now, n)
  local second = math.floor(now / 1000)
  local f = redis.call('HMGET', control, 'second', 'called')
  if f[1] == tostring(second) then
    redis.call('HINCRBY', control, 'called', n)
  else
    local before = f[1] == tostring(second - 1) and f[2] or 0
    redis.call('HSET', control, 'second', second, 'called', n, 'before', before)
  end
end
