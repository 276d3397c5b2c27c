-- What a stop asks for now. Put after keep.lua, and before claim.lua.

-- present returns the named fields of a stop. If the deadline of one of its wishes has passed, the stop is due when the
-- others want it. k is what keep takes.
local function present(stop, id, now, k, ...)
  local f = redis.pcall('HMGET', stop, 'passes', ...)
  if (tonumber(f[1] or nil) or math.huge) <= now then
    keep(stop, id, now, k, '')
    f = redis.pcall('HMGET', stop, 'passes', ...)
  end
  return unpack(f, 2, 1 + select('#', ...))
end
