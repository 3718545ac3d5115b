-- Reads where a room's stream stands and a part of it.
--
-- KEYS  1 the room's position   2 its stream   3 when each server was alive
-- ARGV  1 how long to remember the position (ms)
--       2 the server's run id   3 since when it has kept everything   4 an epoch never used before
--       5 the epoch that is asked for, empty for the newest publications   6 the offset behind which to begin
--       7 how many publications
--       8 how many bytes of data, 0 for any amount; the first publication is found however large it is
--
-- The answer is the epoch, the offset, the jumps, and a flat list of ids and envelopes; the newest come newest first.
local epoch, offset, jumps = stand(KEYS[1], KEYS[2], KEYS[3], ARGV[2], ARGV[3], ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[1])

local found = {}
local left, bytes = tonumber(ARGV[7]), tonumber(ARGV[8])
if bytes == 0 then
  bytes = math.huge
end
local since = ARGV[5] ~= ''
if since and ARGV[5] ~= epoch then
  left = 0
end
local from = since and '(' .. ARGV[6] .. '-0' or '+'
while left > 0 do
  -- In steps, so that a few large publications do not make the server read a thousand of them.
  local count = math.min(left, 64)
  local entries
  if since then
    entries = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', count)
  else
    entries = redis.call('XREVRANGE', KEYS[2], from, '-', 'COUNT', count)
  end
  for _, entry in ipairs(entries) do
    bytes = bytes - tonumber(entry[2][4])
    if bytes < 0 and #found > 0 then
      return {epoch, string.format('%.0f', offset), jumps, found}
    end
    found[#found + 1] = entry[1]
    found[#found + 1] = entry[2][2]
    from = '(' .. entry[1]
  end
  left = left - #entries
  if #entries < count then
    break
  end
end
return {epoch, string.format('%.0f', offset), jumps, found}
