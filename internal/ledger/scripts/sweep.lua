-- Forgets the oldest stops of a batch that ended long ago, and at last the batch.
--
-- KEYS  active, last, ended, batch, batch stops, limits, then for each stop of the batch: what stands under its id, the
--       stop that served the wish (the same key if it did so itself), and the stops of the job before and after that
--       one (the same key if there was none, or none before it)
-- ARGV  batch, since when a batch is too old (ms), 1 when no index has the batch any more, then for each: its id, the
--       id of the one that served, its job, the id of the one before ("": there was none)
-- Returns 1 when all its stops are gone and, if no index has it, the batch; 0 when some of it is left; -1 when it is
--       not to be forgotten.
local active, last, ended, batch, stops, limits = unpack(KEYS, 1, 6)
local batch_id, since = ARGV[1], tonumber(ARGV[2])
local at = tonumber(redis.call('ZSCORE', ended, batch_id) or since)
if ARGV[3] ~= '' and redis.call('EXISTS', batch, stops) == 0 and not redis.call('ZSCORE', ended, batch_id) then
  return 1 -- somebody else has forgotten it, or the answer that told so got lost
end
if at >= since then
  return -1
end
local left = redis.call('HMGET', batch, 'pending', 'stopping')
if tonumber(left[1] or 0) + tonumber(left[2] or 0) > 0 then
  redis.call('ZREM', ended, batch_id)
  return -1
end
local moved = {} -- by the key of a stop: the stop before it, where the one that was is forgotten here
for i = 1, (#KEYS - 6) / 4 do
  local own, stop, before, after = unpack(KEYS, 4 * i + 3, 4 * i + 6)
  local own_id, id, job, prev = unpack(ARGV, 4 * i, 4 * i + 3)
  if moved[stop] then before, prev = unpack(moved[stop]) end
  if redis.call('LINDEX', stops, 0) ~= own_id then
    return 0 -- somebody else sweeps, too
  end
  -- A key that holds no stop is left as it is.
  redis.pcall('HDEL', stop, 'meant:' .. batch_id, 'void:' .. batch_id, 'late:' .. batch_id)
  if redis.pcall('HDEL', stop, 'wish:' .. batch_id) == 1 and redis.call('HINCRBY', stop, 'wishes', -1) <= 0
    and redis.call('HGET', active, job) ~= id then
    redis.call('DEL', stop)
    if redis.call('HGET', last, job) == id then
      if prev ~= '' and redis.call('EXISTS', before) == 1 then -- it is found as long as it is there
        redis.call('HSET', last, job, prev)
      else
        redis.call('HDEL', last, job)
      end
    elseif after ~= stop and redis.call('HGET', after, 'prev') == id then
      redis.call('HSET', after, 'prev', prev)
      moved[after] = {before, prev}
    end
  end
  if own ~= stop then
    redis.call('DEL', own)
  end
  redis.call('LPOP', stops)
end
if redis.call('LLEN', stops) > 0 then
  return 0
end
if ARGV[3] == '' then return 1 end
redis.call('DEL', stops)
redis.call('ZREM', ended, batch_id)
redis.call('HDEL', limits, 'held:' .. batch_id)
redis.call('DEL', batch)
return 1
