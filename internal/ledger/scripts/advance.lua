-- Moves a stop in flight from one hop to the next.
--
-- KEYS  stop, next, state:pending, state:stopping, batch, watched, screen
-- ARGV  stop id, hop expected, nonce, the state it will have, 1 when the task of the hop was lost, when the next task is due (ms), job id, now (ms), least number of stopping
--       jobs for a watch (0: never watch), when a watch begins and when it ends at the latest (ms), then field and
--       value pairs to save
-- With a lost task, a call that was marked may have gone out: the stop becomes unsure.
-- Returns what happened, and a hop of the project's screen:
--       0  nothing: the stop is missing, ended or at another hop
--       1  it moved, and is carried by a task of its own
--       2  it moved, and is watched by the project's screen; the screen task of the hop returned may have to be
--          enqueued, unless that is 0
-- The same nonce gets the same answer again: a client that lost the answer may repeat the call.
local stop, next, pending, stopping, batch, watched, screen = unpack(KEYS)
local id, expected, nonce, after, lost, due, job, now, least, from, latest = unpack(ARGV, 1, 11)
local state, hop, asked_for, mover, kind, calling = unpack(
  redis.call('HMGET', stop, 'state', 'hop', 'due', 'mover', 'kind', 'calling'))
if (state ~= 'pending' and state ~= 'stopping') or hop ~= expected then
  if mover ~= nonce then
    return {0, 0}
  end
  return {kind == 'watch' and 2 or 1, tonumber(redis.call('HGET', screen, 'hop') or 0)}
end
redis.call('HSET', stop, 'mover', nonce, unpack(ARGV, 12))
if lost == '1' and calling == hop then
  redis.call('HSET', stop, 'unsure', 1)
end
if state == 'pending' and after == 'stopping' then
  redis.call('ZREM', pending, id)
  redis.call('ZADD', stopping, asked_for, id)
  redis.call('HINCRBY', batch, 'pending', -1)
  redis.call('HINCRBY', batch, 'stopping', 1)
end
least = tonumber(least)
local watch, on = false, nil
if least > 0 and redis.call('ZCARD', stopping) >= least then
  local s = redis.call('HMGET', screen, 'rests', 'on')
  watch, on = tonumber(s[1] or 0) <= tonumber(now), s[2]
end
if not watch then
  redis.call('ZADD', next, due, id)
  if kind == 'watch' then
    redis.call('ZREM', watched, job)
  end
  return {1, 0}
end
redis.call('HSET', stop, 'kind', 'watch', 'next', latest)
redis.call('ZADD', next, latest, id)
redis.call('ZADD', watched, from, job)
if on == '1' then
  return {2, 0}
end
redis.call('HSET', screen, 'on', 1, 'due', from)
redis.call('PERSIST', screen)
return {2, redis.call('HINCRBY', screen, 'hop', 1)}
