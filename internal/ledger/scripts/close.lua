-- How a stop ends. Put after gather.lua and hold.lua, and before the scripts that end stops.
--
-- The keys that they all need stand first in KEYS.
local active, last, small, large, look, released, watched, latest, pending, stopping, ended, uncounted, times,
  control, limited, held, limits = unpack(KEYS, 1, 17)
local lanes = {small = small, limited = limited, held = held}
local touched = {} -- batches, each a key and an id, that may have ended

-- count moves a wish of a batch from one state to another.
local function count(batch, batch_id, from, to)
  add(batch, from, -1)
  add(batch, to, 1)
  if not touched[batch] then
    touched[batch], touched[#touched + 1] = true, {batch, batch_id}
  end
end

-- close takes the stop out of every set, and returns what is to be saved with it. f is its state, hop, job, kind and
-- lane before.
local function close(id, f)
  local member = id .. ':' .. f.hop .. ':' .. f.job
  if f.kind == 'watch' then
    gather('ZREM', watched, f.job)
  else
    gather('ZREM', released, member)
    gather('ZREM', f.kind == 'poll' and look or lanes[f.lane] or large, member)
  end
  gather('ZREM', f.state == 'pending' and pending or stopping, id)
  gather('ZREM', latest, id)
  if f.job == '' then return {} end
  if redis.call('HGET', active, f.job) == id then gather('HDEL', active, f.job) end
  local before = redis.call('HGET', last, f.job)
  gather('HSET', last, f.job, id)
  return before and {'prev', before} or {}
end

-- judge has a batch held that nobody confirmed, if too many of its stops are rejected or not found: the rule, the project
-- or the list of its producer may be wrong. A shadow stop counts as what its stop call would have met.
local function judge(batch_id, now, n)
  local bad, all = n[3] + n[4] + n[5], 0
  for i = 3, 11 do all = all + n[i] end
  if n[1] > 0 and not n[12] and not n[13] and all >= 20 and bad > 0.3 * all then
    hold(limits, batch_id, now, 'bad_outcomes', bad .. ' of ' .. all .. ' stops that have ended were rejected or not found')
  end
end

-- finally makes all changes, and notes the batches that have ended. When no stop is in flight, the project is no longer
-- tied to an endpoint.
local function finally(now)
  flush()
  if redis.call('EXISTS', pending, stopping) == 0 then redis.call('HDEL', control, 'endpoint') end
  for i = 1, #touched do
    local batch, batch_id = unpack(touched[i])
    local n = redis.call('HMGET', batch, 'pending', 'stopping', 'rejected', 'not_found', 'would_not_found', 'stopped',
      'already_stopped', 'gone', 'expired', 'would_stop', 'would_already', 'confirmed', 'shared')
    for f = 1, 11 do n[f] = tonumber(n[f] or 0) end
    judge(batch_id, now, n)
    if n[1] == 0 and n[2] == 0 then
      redis.call('HSET', batch, 'ended', now)
      redis.call('ZADD', ended, now, batch_id)
    end
  end
end
