-- How many stop calls that nobody confirmed a project has made in the last 60 minutes. Put before the scripts that ask.
--
-- The hash has for each minute since 1970 (of the fleet's clock) the field u<minute>, the calls that were claimed in it, and
-- a<minute>, how many more somebody has allowed in it. A minute counts for 62: for 60, for its own length, and for a call
-- that goes out late after its claim.
local COUNTS = 62

-- window reads what counts now. most is the limit (0: none). left is how many calls may go out, opens when the oldest ones
-- no longer count (ms), old the fields that nobody needs.
local function window(counts, now, most)
  local minute = math.floor(now / 60000)
  local w = {minute = minute, used = 0, allowed = 0, old = {}, opens = (minute + 1) * 60000}
  local f, oldest = redis.call('HGETALL', counts), nil
  for i = 1, #f, 2 do
    local kind, at = string.match(f[i], '^([ua])(%d+)$')
    if kind and tonumber(at) <= minute - COUNTS then
      w.old[#w.old + 1] = f[i]
    elseif kind == 'u' then
      w.used = w.used + f[i + 1]
      oldest = math.min(oldest or math.huge, at)
    elseif kind then
      w.allowed = w.allowed + f[i + 1]
    end
  end
  if oldest then w.opens = (oldest + COUNTS) * 60000 end
  w.left = most > 0 and math.max(0, most + w.allowed - w.used) or math.huge
  return w
end
