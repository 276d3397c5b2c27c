-- How a released step comes back. Put before claim.lua and recover.lua.

-- kind_back returns the kind of a step that comes back, to wait again. A stop call comes back as a look, which waits
-- for no pause and no limit, if it may have gone out (marked), or if the stop was withdrawn. calling is the hop of the
-- latest call.
local function kind_back(stop, kind, marked, withdrawn, calling)
  if kind ~= 'stop' or not marked and not withdrawn then return kind end
  redis.call('HSET', stop, 'kind', 'poll', marked and 'unsure' or 'instead', marked and 1 or calling or 0)
  return 'poll'
end
