-- Publishes again what another server, or another life of this one, acknowledged and has lost since.
--
-- KEYS  1 the room's position   2 its stream   3 when each server was alive
-- ARGV  1 to 10 as for publishing   11 the epoch and   12 the offset that it was given first   13 1 if this may be the
--       second time that it is restored
--
-- The answer is its new place, or nothing if it was not lost, was restored before, or is of a life of the stream that is
-- over: those who heard that one are told so.
local epoch, offset, jumps = stand(KEYS[1], KEYS[2], KEYS[3], ARGV[8], ARGV[9], ARGV[10])
if epoch ~= ARGV[11] then
  return ''
end
local was, base = tonumber(ARGV[12]), nil
for from, to in string.gmatch(jumps, '(%d+):(%d+),') do
  if was > tonumber(from) and was <= tonumber(to) then
    base = to
  end
end
if not base then
  return ''
end
if ARGV[13] == '1' then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '(' .. base .. '-0', '+')) do
    if entry[2][2] == ARGV[3] then
      return ''
    end
  end
end
return append(KEYS[1], KEYS[2], epoch, offset, ARGV[3],
  {command = ARGV[1], channel = ARGV[2], bytes = ARGV[4], size = ARGV[5], ttl = ARGV[6], rest = ARGV[7]})
