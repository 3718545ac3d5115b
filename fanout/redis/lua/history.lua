-- Reads where a room's stream stands and a part of it.
--
-- KEYS  1 the room's position (hash: epoch, run, offset)   2 its stream
-- ARGV  1 how long to remember the position (ms)   2 the server's run id   3 an epoch never used before
--       4 the epoch that is asked for, empty for the newest publications   5 the offset behind which to begin
--       6 how many publications
--       7 how many bytes of data, 0 for any amount; the first publication is found however large it is
--
-- The answer is the epoch, the offset and a flat list of ids and envelopes; the newest come newest first.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'offset')
local epoch, offset = known[1], known[3] or '0'
if not epoch or known[2] ~= ARGV[2] then
  epoch, offset = ARGV[3], '0'
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'run', ARGV[2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])

local found = {}
local left, bytes = tonumber(ARGV[6]), tonumber(ARGV[7])
if bytes == 0 then
  bytes = math.huge
end
local since = ARGV[4] ~= ''
if since and ARGV[4] ~= epoch then
  left = 0
end
local from = since and '(' .. ARGV[5] .. '-0' or '+'
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
      return {epoch, offset, found}
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
return {epoch, offset, found}
