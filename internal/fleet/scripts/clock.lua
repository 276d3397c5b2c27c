-- Tells what time it is. Put before beat.lua, which says what KEYS and ARGV are.
--
-- The fleet's time is Redis' own plus a shift. When Redis' clock goes back (a failover), behind when a worker last beat
-- or left, the shift makes up for it. When it was set forward (correct.lua), nobody seems to have been heard for so
-- long: each such gap is noted for a minute, not counting the next gap, as the first to beat may not know better. The
-- gaps that ended since a caller last heard the time may be the jump that it meets. If it finds the time right, none of
-- them was.
local workers, clock, heard = KEYS[1], KEYS[2], KEYS[3]
local me, leaves = ARGV[1], ARGV[2] == '1'
local silence, deserted, gap = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local told, expected = tonumber(ARGV[7]), tonumber(ARGV[8])
local t = redis.call('TIME')
local c = redis.call('HMGET', clock, 'shift', 'left', 'resumed', 'gaps', 'doubt')
local shift, resumed, noted, doubt = tonumber(c[1] or 0), tonumber(c[3] or 0), c[4] or '', tonumber(c[5] or 0)
local now = t[1] * 1000 + t[2] / 1000 + shift
local latest = redis.call('ZREVRANGEBYSCORE', workers, '+inf', '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
local seen = math.max(tonumber(latest[2] or 0), tonumber(c[2] or 0))
if seen > now + 2000 then
  shift, now = math.floor(shift + seen - now + 0.5), seen -- '%.0f' would make "-0" of a little less than nothing
  redis.call('HSET', clock, 'shift', string.format('%.0f', shift))
end
local long = seen > 0 and now - seen > gap and math.ceil(now - seen) or 0
local resumes = not latest[2] or now - tonumber(latest[2]) > gap or resumed > now
local right, unheard, gaps = told > 0 and now - expected <= silence, long, {}
for ended, lasted, silent in string.gmatch(noted, '(%d+):(%d+):?(%d*)') do -- silent: how long the next gap was
  if resumes and silent == '' then silent = string.format('%.0f', long) end
  local since, fresh = tonumber(ended) > told, now - (tonumber(silent) or long) - ended < 60000
  if since and fresh then unheard = unheard + lasted end
  if fresh and not (since and right) then
    gaps[#gaps + 1] = ended .. ':' .. lasted .. (silent ~= '' and ':' .. silent or '')
  end
end
if right then unheard = 0 end
if me ~= '' then
  if resumes then -- others that did not leave may know better
    resumed, doubt = math.floor(now), latest[1] and 1 or 0
    redis.call('HSET', clock, 'resumed', string.format('%.0f', resumed), 'doubt', doubt)
    if long > 0 and not right then gaps[#gaps + 1] = string.format('%.0f:%.0f', resumed, long) end
  end
  gaps = table.concat(gaps, ' ')
  if gaps ~= noted then redis.call('HSET', clock, 'gaps', gaps) end
end
