-- Releases the steps of one project that may run now. Put after rate.lua, window.lua and fewest.lua, and before
-- release.lua.
--
-- KEYS  control, waiting:small, waiting:stop, waiting:look, released, watched, latest, uncounted, waiting:limited,
--       limits, window
-- ARGV  now, room, rate configured, burst, after how long a watched stop is looked at that no list has shown, with and
--       without a list check (ms), least number of watched jobs for a list check, how many watched jobs this worker can
--       look at, 1 when the fleet is held ("stops" when its stop calls are), for how long a step at work may be silent,
--       how long a probe may take (ms), how many steps are released at most, the endpoint this worker calls
--       ("": any), the window limit (0: none), how many jobs that the list has missed may wait for a look when it is
--       checked (-1: it is not), after how long it is checked again if nobody tells of it (ms), when the next round is
--       due if there is no room (ms), 1 when this worker makes as many looks as it can, when the next round is due of
--       who waits for room in the queue or for a look (ms)
-- What it returns is said in next.lua, which ends it.
local control, small, large, look, released, watched, latest, uncounted, limited, limits, counts = unpack(KEYS)
local now, room, conf, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local fallback, least, inline, fleet = tonumber(ARGV[5]), tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9]
local silence, probe_time, MOST, backlog = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[15])

local c = redis.call('HMGET', control, 'paused', 'parked', 'hold', 'probe_at', 'list_at', 'list_rests', 'cutoff', 'endpoint',
  'probes', 'list_failures', 'list_many', 'list_pages', 'list_joined', 'list_long', 'probe')
local paused = c[1] or fleet == 'stops'
local parked = tonumber(c[2] or 0) > now
local hold, probe_at = c[3], tonumber(c[4] or 0)
local elsewhere = ARGV[13] ~= '' and c[8] and c[8] ~= ARGV[13] -- another worker's
local open = not elsewhere and fleet ~= '1' and not parked and (not hold or probe_at <= now or c[15] == 'later')
local b = load(control, now, conf, burst)
local watching = redis.call('ZCARD', watched)
local listable = watching > 0 and tonumber(c[6] or 0) <= now
-- The first probe of a hold is a list call rather than a stop that a limit may hold back.
local list_first = listable and tonumber(c[9] or 0) == 0
local listing = listable and least > 0 and watching >= fewest(least, c[12], now, c[7], c[11], c[13], c[14])
if not listing then fallback = tonumber(ARGV[6]) end
room = math.max(0, room - redis.call('ZCARD', released))
local since = now - fallback -- watched jobs that were seen before it are looked at
local list_at = tonumber(c[5] or 0)
local cutoff = tonumber(c[7] or 0)
local in_time = list_at > now and list_at - cutoff < 75000 and not c[10] -- it shows in time whether they stop
if listable then since = math.max(listing and in_time and 0 or since, cutoff) end
local list_due = listing and list_at <= now and backlog >= 0
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

-- The window, if a stop that nobody confirmed is due, and how many of them this round has released.
local w, unconfirmed = waits(limited) and window(counts, now, tonumber(ARGV[14])), 0

local function left() return w and w.left - unconfirmed or 0 end

-- pop_limited takes stops that nobody confirmed, as many as the window has left. Claims hold it, whatever rounds do.
local function pop_limited(n)
  local was = more
  local got = pop(limited, math.min(n, left()), stops)
  unconfirmed = unconfirmed + got
  if left() < 1 then more = was end -- whatever is due: nothing more can go out now
  return got
end

-- affordable is how many looks the rate allows. The next token of stops is not theirs while a stop call waits for it.
local function affordable()
  local kept = not paused and (waits(small) or waits(large) or left() > 0) and 1 or 0
  return b.limited and math.floor(b.looks + math.max(0, b.stops - kept)) or INF
end
