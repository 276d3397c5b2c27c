-- Confirms stops that nobody has and that no call was accepted for. Put after confirm.lua.
--
-- KEYS  waiting:limited, waiting:held, waiting:stop, then the stops
-- ARGV  how many may be confirmed, then the id of each stop
-- Returns how many were, and how many of the others nobody has confirmed.
local lanes, large = {limited = KEYS[1], held = KEYS[2]}, KEYS[3]
local most, n, left = tonumber(ARGV[1]), 0, 0

for i = 4, #KEYS do
  local f = redis.call('HMGET', KEYS[i], 'state', 'lane')
  if f[1] == 'pending' and lanes[f[2]] then
    if n < most then
      n = n + confirm(KEYS[i], ARGV[i - 2], lanes, '', large)
    else
      left = left + 1
    end
  end
end
return {n, left}
