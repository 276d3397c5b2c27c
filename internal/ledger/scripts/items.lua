-- Reads the items of a script that moves or ends stops. Put after gather.lua and before those scripts.

-- each calls one(stop, batches, fields, ...) for every item, and returns the answers. k and a are where the items begin in
-- KEYS and ARGV. Each has a key for its stop and one for each batch of its wishes, and as arguments: fixed values (...),
-- how many batches, their ids, how many fields to save, their names and values. batches holds the key and the id of each,
-- one after the other.
local function each(k, a, fixed, one)
  local answers = {}
  while a <= #ARGV do
    local first, n, batches = a, tonumber(ARGV[a + fixed]), {}
    for i = 1, n do
      batches[2 * i - 1], batches[2 * i] = KEYS[k + i], ARGV[a + fixed + i]
    end
    local stop = KEYS[k]
    k, a = k + 1 + n, a + fixed + 1 + n
    local m = 2 * tonumber(ARGV[a])
    answers[#answers + 1] = one(stop, batches, {unpack(ARGV, a + 1, a + m)}, unpack(ARGV, first, first + fixed - 1))
    a = a + 1 + m
  end
  return answers
end
