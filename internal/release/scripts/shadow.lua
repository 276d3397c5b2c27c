-- Takes the shadow stops of one project that may be looked at now. Put after rate.lua.
--
-- KEYS  control, waiting:small and waiting:stop of the project's real stops, then of its shadow stops: control,
--       waiting, released, latest, uncounted
-- ARGV  now, rate configured, burst, how many are taken at most, 1 when the fleet is held, for how long a step at work
--       may be silent, how long a probe may take (ms), the endpoint this worker calls ("": any)
-- Returns when the next round is due (ms from now; -1: nothing is left to do), 1 when there are stops to count, the
-- members that were taken, the stops whose time is up, the steps that have been silent for long.
local control, small, large, own, waiting, released, latest, uncounted = unpack(KEYS)
local now, conf, burst, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local fleet, silence, probe_time, endpoint = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]

local c = redis.call('HMGET', control, 'parked', 'hold', 'probe_at')
local parked, hold, probe_at = tonumber(c[1] or 0), c[2], tonumber(c[3] or 0)
local at = redis.call('HGET', own, 'endpoint')
local elsewhere = endpoint ~= '' and at and at ~= endpoint -- another worker's
local open = not elsewhere and fleet ~= '1' and parked <= now and (not hold or probe_at <= now)

local function due(set, n) return redis.call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, n) end

-- Looks for real stops are taken from the same buckets. The tokens of stop calls are theirs while one waits.
local b = load(control, now, conf, burst)
local n = most
if hold then
  n = math.min(n, 1) -- a probe
elseif b.limited then
  local kept = (#due(small, 1) > 0 or #due(large, 1) > 0) and 0 or math.max(0, b.stops)
  n = math.min(n, math.floor(b.looks + kept))
end
local taken = open and n > 0 and due(waiting, n) or {}
if #taken > 0 then
  redis.call('ZREMRANGEBYRANK', waiting, 0, #taken - 1)
  local went = {}
  for i = 1, #taken do went[2 * i - 1], went[2 * i] = now, taken[i] end
  redis.call('ZADD', released, unpack(went))
  if hold then -- its claim takes the turn
    redis.call('HSET', control, 'probe', taken[1], 'probe_at', string.format('%.0f', now + probe_time))
  else
    pay(b, #taken)
  end
  save(control, now, b)
end

-- visit returns the first of a set whose time has come, and puts them off a little: if this worker dies now, they are
-- found again.
local function visit(set, till, put_off)
  local found = redis.call('ZRANGEBYSCORE', set, '-inf', till, 'LIMIT', 0, 100)
  for i = 1, #found do redis.call('ZADD', set, put_off, found[i]) end
  return found
end

local late = visit(latest, now, now + 10000)
local silent = visit(released, now - silence, now - silence + 1000)

local function head(set) return tonumber(redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2] or INF) end

-- What holds looks back ends without a word to whoever waits here: so look again every other second.
local next_at = head(waiting)
if next_at <= now or not open then next_at = math.max(next_at, now + (open and 50 or 2000)) end
next_at = math.min(next_at, head(latest), head(released) + silence)
return {next_at == INF and -1 or math.ceil(math.max(0, next_at - now)), redis.call('LLEN', uncounted) > 0 and 1 or 0,
  taken, late, silent}
