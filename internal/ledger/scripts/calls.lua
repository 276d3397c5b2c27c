-- Remembers the calls that have recorded stops of a batch. Put before the scripts that record some.

-- KEPT is how many calls of a batch are remembered: more than record stops of one at once.
local KEPT = 32

-- was_made tells whether a call has recorded stops of the batch: its answer got lost, and the client asks once more.
local function was_made(calls, nonce)
  return calls and string.find(' ' .. calls .. ' ', ' ' .. nonce .. ' ', 1, true) ~= nil
end

-- made notes that a call has.
local function made(batch, nonce)
  local calls = redis.call('HGET', batch, 'nonce') or ''
  if was_made(calls, nonce) then return end
  redis.call('HSET', batch, 'nonce', string.sub(nonce .. ' ' .. calls, 1, KEPT * (#nonce + 1) - 1))
end
