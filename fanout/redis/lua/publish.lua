-- Gives a publication its place in a room's stream, keeps it there and publishes it, all at one moment.
--
-- KEYS  1 the room's position   2 its stream   3 when each server was alive
-- ARGV  1 PUBLISH or SPUBLISH   2 channel   3 envelope   4 bytes of data in it   5 how many to keep
--       6 how long to keep them (ms)   7 how long to remember the position (ms)
--       8 the server's run id   9 since when it has kept everything   10 an epoch never used before
local epoch, offset = stand(KEYS[1], KEYS[2], KEYS[3], ARGV[8], ARGV[9], ARGV[10])
return append(KEYS[1], KEYS[2], epoch, offset, ARGV[3],
  {command = ARGV[1], channel = ARGV[2], bytes = ARGV[4], size = ARGV[5], ttl = ARGV[6], rest = ARGV[7]})
