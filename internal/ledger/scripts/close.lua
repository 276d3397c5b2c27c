-- How a stop ends. Put before the scripts that end one.
--
-- The keys that they all need stand first in KEYS.
local active, last, small, large, look, released, watched, latest, pending, stopping, ended, uncounted, times =
  unpack(KEYS, 1, 13)

-- count moves n wishes of a batch from one state to another.
local function count(batch, batch_id, from, to, now)
  local left = redis.call('HINCRBY', batch, from, -1)
  redis.call('HINCRBY', batch, to, 1)
  if left == 0 and tonumber(redis.call('HGET', batch, from == 'pending' and 'stopping' or 'pending') or 0) == 0
    and to ~= 'stopping' then
    redis.call('HSET', batch, 'ended', now)
    redis.call('ZADD', ended, now, batch_id)
  end
end

-- close takes the stop out of every set. f is its state, hop, job and kind before.
local function close(stop, id, f)
  local member = id .. ':' .. f.hop .. ':' .. f.job
  if redis.call('ZREM', released, member) == 0 then
    redis.call('ZREM', small, member)
    redis.call('ZREM', large, member)
    redis.call('ZREM', look, member)
  end
  if f.kind == 'watch' then
    redis.call('ZREM', watched, f.job)
  end
  redis.call('ZREM', f.state == 'pending' and pending or stopping, id)
  redis.call('ZREM', latest, id)
  if f.job ~= '' then
    if redis.call('HGET', active, f.job) == id then
      redis.call('HDEL', active, f.job)
    end
    local before = redis.call('HGET', last, f.job)
    if before then
      redis.call('HSET', stop, 'prev', before)
    end
    redis.call('HSET', last, f.job, id)
  end
end
