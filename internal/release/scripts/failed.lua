-- Notes that a call did not get an answer about its job. Several in a row hold it back, until a probe succeeds.
--
-- KEYS  control, of a project or of an account; of an account also the set of accounts in trouble
-- ARGV  now, why (a reason of a hold), the API's words, the step (a member; "list" for a list call), how many failures
--       in a row make a hold, 1 when they must be those of the stops of as many jobs, first and longest wait of a probe
--       (ms); of an account also its name, and the project that it was refused in
-- Returns how many failures there were in a row, 1 when a hold was made or 0, and 1 when the project is held or 0.
local control, now = KEYS[1], tonumber(ARGV[1])
local why, words, member, enough, several = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6] == '1'
local first, longest = tonumber(ARGV[7]), tonumber(ARGV[8])
local f = redis.call('HMGET', control, 'hold', 'probe', 'probes', 'failed_stops', 'failures', 'failed_why')
local stop = string.match(member, '[^:]*$') -- its job: a real stop and a shadow stop of one job are as good as one
local failures, stops = tonumber(f[5] or 0), f[4] or ''
if f[6] ~= why then
  failures, stops = 0, ''
end
if not several then
  failures = failures + 1
elseif not string.find(stops, ',' .. stop .. ',', 1, true) and failures < enough then
  failures, stops = failures + 1, stops .. ',' .. stop .. ','
end
redis.call('HSET', control, 'failures', failures, 'failed_stops', stops, 'failed_why', why)
if KEYS[2] then
  redis.call('SADD', KEYS[2], ARGV[9])
  redis.call('HSET', control, 'probe_project', ARGV[10], 'refused_at', ARGV[1], 'refused_words', words)
end
if f[1] then
  if f[2] == member then
    local probes = tonumber(f[3] or 0) + 1
    redis.call('HSET', control, 'hold', why, 'hold_words', words, 'probes', probes, 'probe', '',
      'probe_at', string.format('%.0f', now + math.min(longest, first * 2 ^ math.min(20, probes))))
  end
  return {failures, 0, 1}
end
if failures < enough then
  return {failures, 0, 0}
end
redis.call('HSET', control, 'hold', why, 'hold_words', words, 'hold_since', string.format('%.0f', now), 'probes', 0,
  'probe', '', 'probe_at', string.format('%.0f', now + first))
return {failures, 1, 1}
