-- In which lane a stop waits for its call. Put before the scripts that change that. sets are the waiting sets by the name
-- of their lane, '' for the large one.

-- rest has a stop wait in a lane from now on. It keeps its place in the order.
local function rest(stop, id, sets, lane)
  local f = redis.call('HMGET', stop, 'lane', 'hop', 'job')
  local from, member = f[1] or '', id .. ':' .. f[2] .. ':' .. f[3]
  if from == lane then return end
  if lane == '' then redis.call('HDEL', stop, 'lane') else redis.call('HSET', stop, 'lane', lane) end
  local due = redis.call('ZSCORE', sets[from], member)
  if due then
    redis.call('ZREM', sets[from], member)
    redis.call('ZADD', sets[lane], due, member)
  end
end

local function is_held(limits, batch_id) return redis.call('HGET', limits, 'held:' .. batch_id) and true or false end

-- inherit has the limits of a batch keep a stop of which nobody has confirmed a wish that stands. It returns the lane.
local function inherit(stop, id, batch_id, sets, limits)
  local lane = is_held(limits, batch_id) and 'held' or 'limited'
  redis.call('HSET', stop, 'batch', batch_id)
  rest(stop, id, sets, lane)
  return lane
end

-- heir is the batch whose limits keep a stop: of those whose wishes stand, the first that is not held. f is the stop.
local function heir(f, standing, limits)
  local best, least
  for _, batch_id in ipairs(standing) do
    local asked = string.match(f['wish:' .. batch_id], '^%d+ %d+ (%d+)') or ''
    local rank = (is_held(limits, batch_id) and 1 or 0) .. ' ' .. asked .. ' ' .. batch_id
    if not least or rank < least then best, least = batch_id, rank end
  end
  return best
end
