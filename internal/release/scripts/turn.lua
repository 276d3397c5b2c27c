-- The turn to be the probe of a hold: the one call that goes out although calls are held. Put after rate.lua.

-- take_turn pays for the probe, which goes out now and waits for no rate; it may take till then. However long calls are
-- held, probes add a debt of two calls at most.
local function take_turn(control, now, till, conf, burst, paid)
  redis.call('HSET', control, 'probe_at', string.format('%.0f', till))
  local b = load(control, now, conf, burst)
  if b.stops > -1 and not paid then pay(b, 1) end
  save(control, now, b)
end

local turn_passed = false

-- pass_turn has another probe made as soon as may be: what was to be the probe makes no call.
local function pass_turn(control, soonest)
  redis.call('HSET', control, 'probe', '', 'probe_at', string.format('%.0f', soonest))
  turn_passed = true
end

-- needs_round reports whether a turn was passed on and nobody has taken it, also by a claim whose answer was lost. hold is
-- whether the project was held when the script began.
local function needs_round(control, hold)
  return turn_passed or hold and redis.call('HGET', control, 'probe') == ''
end
