-- Spends one call of a project's rate, for a call that belongs to no step.
--
-- KEYS  control
-- ARGV  now, rate configured, burst
-- Returns how long to wait before it is tried again (ms); 0 when it was spent.
local control, now, conf, burst = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local parked = tonumber(redis.call('HGET', control, 'parked') or 0)
if parked > now then
  return parked - now
end
local b = load(control, now, conf, burst)
if b.limited and b.looks + b.stops < 1 then
  save(control, now, b)
  return math.ceil(1000 / b.rate)
end
pay(b, 1)
count(control, now, 1)
save(control, now, b)
return 0
