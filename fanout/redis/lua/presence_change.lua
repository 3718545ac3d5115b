-- Changes to the members of one room, in their order. Behind the shared ARGV: the TTL in milliseconds, how many users
-- whose time is over may be taken out, and for each change what it is ('+' enter, '-' leave, digits: so many
-- connections are there still) and the user. Answers how many users were taken out.

local ttl, most, first = tonumber(ARGV[4]), tonumber(ARGV[5]), 6
local ends = now + ttl
local score = string.format('%.0f', ends) -- once: Redis is slow to print a number

-- Each user has a number. What there is about it: others' records, when they end, our connections, whether the members
-- know of it, whether we say anything about it.
local users, number = {}, {}
local others, last, mine, known, touched = {}, {}, {}, {}, {}
for i = first + 1, #ARGV, 2 do
  local user = ARGV[i]
  if not number[user] then
    users[#users + 1] = user
    number[user] = #users
  end
end
if #users > 0 then
  local stored = redis.call('HMGET', members, unpack(users))
  for n = 1, #users do
    local packed = stored[n]
    known[n] = packed and true
    if not packed then
      others[n], last[n] = '', 0
    else
      mine[n], others[n], last[n] = split(packed)
    end
  end
end

-- hushed says whether a user that Refresh brings comes in silence: nobody was told that it had left when the room was
-- lost as a whole. For half a TTL every node may then say again whom it has.
local hush
local function hushed()
  if hush == nil then
    hush = redis.call('EXISTS', quiet) == 1
    if not hush and redis.call('EXISTS', members) == 0 then
      redis.call('SET', quiet, '1', 'PX', math.ceil(ttl / 2))
      hush = true
    end
  end
  return hush
end

for i = first, #ARGV, 2 do
  local what, n = ARGV[i], number[ARGV[i + 1]]
  if what ~= '-' then
    if not known[n] then
      known[n] = true
      if what == '+' or not hushed() then
        tell(JOINED, users[n])
      end
    end
    mine[n] = tonumber(what) or mine[n] or 1 -- '+' is no number
    touched[n] = true
  elseif mine[n] then
    mine[n] = nil
    touched[n] = true
    if others[n] == '' then
      known[n] = false
      tell(LEFT, users[n])
    end
  end
end

local gone, records, scores, size = {}, {}, {}, 0
local made = {} -- records by their count, of which there are few
for n = 1, #users do
  local count = mine[n]
  if not touched[n] then
    -- a Leave of somebody who is not here
  elseif count then
    local own = made[count]
    if not own then
      own = struct.pack(RECORD, generation, count, ends)
      made[count] = own
    end
    size = size + 2
    records[size - 1], records[size] = users[n], others[n] .. own
    scores[size - 1], scores[size] = last[n] > ends and last[n] or score, users[n]
  elseif others[n] ~= '' then
    size = size + 2
    records[size - 1], records[size] = users[n], others[n]
    scores[size - 1], scores[size] = last[n], users[n]
  else
    gone[#gone + 1] = users[n]
  end
end
if #gone > 0 then
  redis.call('HDEL', members, unpack(gone))
  redis.call('ZREM', due, unpack(gone))
end
if size > 0 then
  redis.call('HSET', members, unpack(records))
  redis.call('ZADD', due, unpack(scores))
  local at = redis.call('ZREVRANGE', due, 0, 0, 'WITHSCORES')[2]
  redis.call('PEXPIREAT', members, at)
  redis.call('PEXPIREAT', due, at)
end

local over = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, most)
if #over > 0 then
  redis.call('HDEL', members, unpack(over))
  redis.call('ZREM', due, unpack(over))
  for _, user in ipairs(over) do
    tell(LEFT, user)
  end
end
return #over
