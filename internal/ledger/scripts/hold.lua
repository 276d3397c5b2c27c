-- How a batch comes to be held. Put before the scripts that hold one.

-- hold has a batch held, unless it is. why is a reason of a hold; words says what was met. A round tells the fleet of it.
local function hold(limits, batch_id, now, why, words)
  if redis.call('HSETNX', limits, 'held:' .. batch_id, now .. ' ' .. why .. ' ' .. words) == 1 then
    redis.call('HSET', limits, 'news', (redis.call('HGET', limits, 'news') or '') .. why .. ':' .. batch_id .. ' ')
  end
end

-- hold_larger has a batch held that brings more stops than it stated.
local function hold_larger(limits, batch_id, now, stated)
  hold(limits, batch_id, now, 'batch_limit', 'it brings more stops than the ' .. stated .. ' that it stated')
end
