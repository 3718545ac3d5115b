-- Takes out of a part of one room what the process that asks has said. Behind the shared ARGV: the cursor of HSCAN,
-- '0' to begin, and how many users to look at. Answers the next cursor, '0' at the end.

local part = redis.call('HSCAN', members, ARGV[4], 'COUNT', ARGV[5])
for i = 1, #part[2], 2 do
  local user = part[2][i]
  local mine, others, last = split(part[2][i + 1])
  if mine and others == '' then
    redis.call('HDEL', members, user)
    redis.call('ZREM', due, user)
    tell(LEFT, user)
  elseif mine then
    redis.call('HSET', members, user, others)
    redis.call('ZADD', due, last, user)
  end
end
return part[1]
