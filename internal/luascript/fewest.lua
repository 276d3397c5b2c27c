-- For how many jobs of a project its list is read. Put before the scripts that ask.

-- fewest returns least, or the pages that the list has, if these are fewer: where many were watched and none joins them
-- it is read on for the last few, if looks would cost more calls. In ms: when the list was read last, when many were
-- watched last, when the last one joined. Where it had more pages than jobs were watched (when), not for fewer for a while.
local function fewest(least, pages, now, read, many, joined, long)
  if now - (long or 0) < 600000 then return math.max(least, tonumber(pages or 1)) end
  local lately = now - (read or 0) < 10000 and now - (many or 0) < 120000 and now - (joined or 0) >= 5000
  return lately and math.min(least, tonumber(pages or 1)) or least
end
