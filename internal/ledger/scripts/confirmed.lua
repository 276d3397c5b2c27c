-- Confirms the wishes of a batch, where no call was accepted or the call is to be made again and is held. Put after
-- confirm.lua.
--
-- KEYS  waiting:limited, waiting:held, waiting:stop, waiting:small, limits, latest, state:pending, then the stops
-- ARGV  now, batch, how many may be confirmed, then the id of each stop
-- Returns how many were, and how many of the others nobody has confirmed.
local k = {limited = KEYS[1], held = KEYS[2], [''] = KEYS[3], small = KEYS[4], limits = KEYS[5], latest = KEYS[6],
  pending = KEYS[7]}
local now, batch_id, most, n, left = ARGV[1], ARGV[2], tonumber(ARGV[3]), 0, 0

for i = 8, #KEYS do
  local f = redis.call('HMGET', KEYS[i], 'state', 'lane')
  if (f[1] == 'pending' or f[1] == 'stopping' and f[2] == 'held') and unconfirmed(KEYS[i], batch_id) then
    if n < most then
      confirm(KEYS[i], ARGV[i - 4], batch_id, now, k, '')
      n = n + 1
    else
      left = left + 1
    end
  end
end
return {n, left}
