-- Gives a publication its place in a room's stream, keeps it there and publishes it, all at one moment.
--
-- KEYS  1 the room's position (hash: epoch, run, offset)   2 its stream
-- ARGV  1 PUBLISH or SPUBLISH   2 channel   3 envelope   4 bytes of data in it   5 how many to keep
--       6 how long to keep them (ms)   7 how long to remember the position (ms)
--       8 the server's run id   9 an epoch never used before
--
-- A position counted by another life of the server, or by another server, may miss what was acknowledged last, so
-- the stream begins anew rather than count an offset twice.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'run')
local epoch = known[1]
if not epoch or known[2] ~= ARGV[8] then
  epoch = ARGV[9]
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'run', ARGV[8])
end
local offset = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'offset', 1))
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[5], offset .. '-0', 'envelope', ARGV[3], 'bytes', ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[7])
local place = epoch .. ':' .. offset
redis.call(ARGV[1], ARGV[2], '\2' .. place .. ':' .. ARGV[3])
return place
