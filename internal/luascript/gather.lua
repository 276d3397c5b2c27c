-- Collects what a script changes, so that many changes of one key take one command. Put before the scripts that change
-- many stops. What is gathered is not seen by the script itself before flush.
local commands, sums = {}, {}

-- gather adds arguments to a command on a key: ZADD, ZREM, HDEL, HSET, LPUSH or RPUSH. All commands are made in the
-- order in which they were first gathered.
local function gather(command, key, ...)
  local name = command .. ' ' .. key
  local c = commands[name]
  if not c then
    c = {command, key}
    commands[name], commands[#commands + 1] = c, c
  end
  for i = 1, select('#', ...) do c[#c + 1] = (select(i, ...)) end
end

-- add adds n to a field of a hash.
local function add(key, field, n)
  local name = key .. ' ' .. field
  local s = sums[name]
  if not s then
    s = {key, field, 0}
    sums[name], sums[#sums + 1] = s, s
  end
  s[3] = s[3] + n
end

local function flush()
  for i = 1, #commands do redis.call(unpack(commands[i])) end
  for i = 1, #sums do
    if sums[i][3] ~= 0 then redis.call('HINCRBY', unpack(sums[i])) end
  end
end
