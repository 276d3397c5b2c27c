-- Takes over stops in flight as the first version left them.
--
-- KEYS  next (of the first version), waiting:stop, waiting:look, watched, latest, then for each item the stop and its
--       batch
-- ARGV  now (ms), then for each item its id
-- Returns how many were taken over.
local next_, large, look, watched, latest = unpack(KEYS, 1, 5)
local now, taken = tonumber(ARGV[1]), 0

local function take(stop, batch, id)
  local list, f = redis.call('HGETALL', stop), {}
  for i = 1, #list, 2 do
    f[list[i]] = list[i + 1]
  end
  for _, name in ipairs({'job', 'batch', 'hop', 'kind', 'next', 'due', 'deadline', 'asked'}) do -- of a spoilt record
    f[name] = f[name] or ''
  end
  if redis.call('ZREM', next_, id) == 0 or (f.state ~= 'pending' and f.state ~= 'stopping') then
    return
  end
  local hop, kind, due = string.format('%.0f', (tonumber(f.hop) or 0) + 1), f.kind, math.max(tonumber(f.next) or 0, 0)
  if kind == 'watch' then
    redis.call('ZREM', watched, f.job)
    kind, due = 'poll', now
  elseif kind == 'stop' and f.calling == f.hop then -- the call may have gone out: look first
    kind, due = 'poll', now
    redis.call('HSET', stop, 'unsure', 1, 'marked', string.format('%.0f', now))
  end
  due = string.format('%.0f', due)
  redis.call('HSET', stop, 'hop', hop, 'kind', kind, 'next', due, 'wishes', 1, 'wish:' .. f.batch,
    f.due .. ' ' .. f.deadline .. ' ' .. f.asked .. ' ' .. (f.labels or ''))
  redis.call('HDEL', stop, 'slot', 'screened', 'labels', 'task')
  redis.call('ZADD', kind == 'stop' and large or look, due, id .. ':' .. hop .. ':' .. f.job)
  redis.call('ZADD', latest, tonumber(f.deadline) and f.deadline or now, id)
  if redis.call('HEXISTS', batch, 'total') == 0 then
    local total = 0
    for _, state in ipairs({'pending', 'stopping', 'stopped', 'already_stopped', 'gone', 'rejected', 'expired', 'canceled'}) do
      total = total + tonumber(redis.call('HGET', batch, state) or 0)
    end
    redis.call('HSET', batch, 'total', total)
  end
  taken = taken + 1
end

for i = 2, #ARGV do
  take(KEYS[2 * i + 2], KEYS[2 * i + 3], ARGV[i])
end
return taken
