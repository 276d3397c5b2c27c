-- In which lane a stop waits for its call, and why. Put before the scripts that ask or change that.

-- hash is the hash at a key.
local function hash(key)
  local f, list = {}, redis.call('HGETALL', key)
  for i = 1, #list, 2 do f[list[i]] = list[i + 1] end
  return f
end

local function is_held(limits, batch_id) return redis.call('HGET', limits, 'held:' .. batch_id) and true or false end

-- standing lists the wishes of a stop that stand, but for that of the batch "but", and says why one was withdrawn too
-- late, if one was. f is the stop.
local function standing(f, but)
  local wishes, late = {}, nil
  for name, value in pairs(f) do
    local batch_id = string.match(name, '^wish:(.+)$')
    if batch_id and batch_id ~= but and f['late:' .. batch_id] then
      late = f['late:' .. batch_id]
    elseif batch_id and batch_id ~= but and not f['void:' .. batch_id] then
      local due, deadline, asked = string.match(value, '^(%-?%d+) (%-?%d+) (%d*)') -- foreign: also before 1970
      wishes[#wishes + 1] = {batch = batch_id, meant = f['meant:' .. batch_id],
        due = tonumber(due) or 0, deadline = tonumber(deadline) or 0, asked = asked or ''} -- nil: spoilt
    end
  end
  return wishes, late
end

-- wanted is what the wishes of a stop ask for that stand, but for that of the batch "but": due and deadline; from when
-- (from) till when (till) somebody has confirmed it, nil if nobody has; and the batch whose limits keep it otherwise
-- (heir): of those that nobody has confirmed, the first that is not held, or else the first. A wish whose deadline has
-- passed asks for nothing as long as another one's has not; passes is when that is so of the next one. late is why one
-- was withdrawn too late. f is the stop.
local function wanted(f, limits, now, but)
  local wishes, late = standing(f, but)
  local w, least, last = {late = late}, nil, -math.huge
  for _, wish in ipairs(wishes) do last = math.max(last, wish.deadline) end
  for _, wish in ipairs(wishes) do
    local due, deadline = wish.due, wish.deadline
    if deadline > now or last <= now then
      w.due, w.deadline = math.min(w.due or due, due), math.max(w.deadline or deadline, deadline)
      w.passes = math.min(w.passes or deadline, deadline)
      if wish.meant then
        w.from, w.till = math.min(w.from or due, due), math.max(w.till or deadline, deadline)
      else
        local rank = (is_held(limits, wish.batch) and 1 or 0) .. ' ' .. wish.asked .. ' ' .. wish.batch
        if not least or rank < least then w.heir, least = wish.batch, rank end
      end
    end
  end
  return w
end

-- rest has a stop wait in a lane from now on. It keeps its place in the order. sets are the waiting sets by the name of
-- their lane, '' for the large one.
local function rest(stop, id, sets, lane)
  local f = redis.call('HMGET', stop, 'lane', 'hop', 'job')
  local from, member = f[1] or '', id .. ':' .. (f[2] or '0') .. ':' .. (f[3] or '')
  if from == lane then return end
  if lane == '' then redis.call('HDEL', stop, 'lane') else redis.call('HSET', stop, 'lane', lane) end
  local due = redis.call('ZSCORE', sets[from], member)
  if due then
    redis.call('ZREM', sets[from], member)
    redis.call('ZADD', sets[lane], due, member)
  end
end
