-- Takes a node's name, or keeps it. KEYS 1 the name's key; ARGV 1 who wants it, 2 for how long (ms). Answers 1, or 0
-- when somebody else has it.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
