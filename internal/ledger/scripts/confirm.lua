-- How somebody confirms what a batch wants of a stop. Put after keep.lua, before the scripts that confirm.

-- unconfirmed says whether the wish of a batch stands and nobody has confirmed it.
local function unconfirmed(stop, batch_id)
  local f = redis.call('HMGET', stop, 'wish:' .. batch_id, 'void:' .. batch_id, 'late:' .. batch_id, 'meant:' .. batch_id)
  return f[1] and not f[2] and not f[3] and not f[4]
end

-- confirm confirms the wish of a batch: while it stands, no limit is for the stop from its due time to its deadline. k and
-- lane are as for keep.
local function confirm(stop, id, batch_id, now, k, lane)
  if not unconfirmed(stop, batch_id) then return end
  redis.call('HSET', stop, 'meant:' .. batch_id, 1)
  keep(stop, id, now, k, lane)
end
