-- Makes stops of other batches, which a batch of the first version had joined, serve a wish of it.
--
-- KEYS  joined (of the first version), batch, batch stops, ended, then for each item the stop and what stands under the id
--       that the batch would have given it
-- ARGV  batch, then for each item its id, and the id that the batch would have given it
local joined, batch, stops, ended = unpack(KEYS, 1, 4)
local batch_id = ARGV[1]
for i = 1, (#KEYS - 4) / 2 do
  local stop, own = KEYS[3 + 2 * i], KEYS[4 + 2 * i]
  local id, own_id = ARGV[2 * i], ARGV[2 * i + 1]
  local f = redis.call('HMGET', stop, 'state', 'job', 'due', 'deadline', 'asked', 'wishes')
  if redis.call('SREM', joined, id) == 1 and f[1] then
    redis.call('PERSIST', stop)
    redis.call('HSET', stop, 'wish:' .. batch_id, f[3] .. ' ' .. f[4] .. ' ' .. f[5] .. ' ')
    redis.call('HINCRBY', stop, 'wishes', 1)
    redis.call('HSET', own, 'served', id, 'job', f[2])
    redis.call('RPUSH', stops, own_id)
    redis.call('HINCRBY', batch, 'joined', 1)
    redis.call('HINCRBY', batch, 'total', 1)
    redis.call('HINCRBY', batch, f[1], 1)
    if f[1] == 'pending' or f[1] == 'stopping' then
      redis.call('PERSIST', batch)
      redis.call('PERSIST', stops)
      redis.call('HDEL', batch, 'ended')
      redis.call('ZREM', ended, batch_id)
    end
  end
end
return 0
