-- Notes in the data of a server that it is alive. Who has a copy of the data later knows how old it is at most.
--
-- KEYS  1 when each server was last known to be alive
-- ARGV  1 this one's run id   2 how many servers to remember
local clock = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], clock[1] .. string.format('%03d', math.floor(clock[2] / 1000)))
local all = redis.call('HGETALL', KEYS[1])
if #all > 2 * tonumber(ARGV[2]) then
  local oldest = 1
  for i = 3, #all, 2 do
    if tonumber(all[i + 1]) < tonumber(all[oldest + 1]) then
      oldest = i
    end
  end
  redis.call('HDEL', KEYS[1], all[oldest])
end
