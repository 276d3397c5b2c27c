-- How a batch comes to be held. Put before the scripts that hold one.

-- hold has a batch held, unless it is. why is a reason of a hold; words says what was met. A round tells the fleet of it.
local function hold(limits, batch_id, now, why, words)
  if redis.call('HSETNX', limits, 'held:' .. batch_id, now .. ' ' .. why .. ' ' .. words) == 1 then
    redis.call('HSET', limits, 'news', (redis.call('HGET', limits, 'news') or '') .. why .. ':' .. batch_id .. ' ')
  end
end
