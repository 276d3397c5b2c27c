-- Collects what a script changes, so that many changes of one key take one command. Put before the scripts that change
-- many stops. What is gathered is not seen by the script itself before flush.
local commands, gathered, sums = {}, {}, {}

-- gather adds one or two arguments to a command on a key: ZADD, ZREM, HDEL, HSET, LPUSH or RPUSH. All commands are made in
-- the order in which they were first gathered.
local function gather(command, key, a, b)
  local of = gathered[key] or {}
  gathered[key] = of
  local c = of[command]
  if not c then
    c = {command, key}
    of[command], commands[#commands + 1] = c, c
  end
  local n = #c
  c[n + 1], c[n + 2] = a, b
end

-- add adds n to a field of a hash.
local function add(key, field, n)
  local of = sums[key] or {}
  sums[key], of[field] = of, (of[field] or 0) + n
end

local function flush()
  for i = 1, #commands do redis.call(unpack(commands[i])) end
  for key, fields in pairs(sums) do
    for field, n in pairs(fields) do
      if n ~= 0 then redis.call('HINCRBY', key, field, n) end
    end
  end
  commands, gathered, sums = {}, {}, {}
end
