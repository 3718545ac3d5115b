-- What the scripts about the members of one room share. KEYS are members, due and quiet:
--
--   members  hash: user -> a record of 18 bytes for each process that has the user: its generation (8), how many
--            connections it has (4) and when the record ends (6), in milliseconds of Redis's own clock
--   due      sorted set: user -> when the last of its records ends
--   quiet    exists while a room that was lost, with all it held, is being told again by Refresh
--
-- ARGV begin with the generation of the process that asks, the command to publish with ('' to tell nobody), and the
-- room's channel. A user is present to the members as long as it is in the hash: whoever takes it out tells them.

local redis, struct, string, math = redis, struct, string, math -- locals are quicker than globals
local members, due, quiet = KEYS[1], KEYS[2], KEYS[3]
local generation, publish, channel = ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local JOINED, LEFT = '\3', '\4' -- fanout.MemberJoined, fanout.MemberLeft
local RECORD, LENGTH = '>c8I4I6', 18

-- tell publishes an envelope that has nothing but a kind and a user.
local function tell(kind, user)
  if publish == '' then
    return
  end
  local n, length = #user, ''
  while n >= 128 do
    length = length .. string.char(n % 128 + 128)
    n = math.floor(n / 128)
  end
  redis.call(publish, channel, '\1' .. kind .. '\8' .. length .. string.char(n) .. user)
end

-- split returns what a user's records say: the connections of the process that asks (nil without a record), the
-- others' records that have not ended, and when the last of those does.
local function split(packed)
  local mine, others, last = nil, '', 0
  for at = 1, #packed, LENGTH do
    local from, count, ends = struct.unpack(RECORD, packed, at)
    if from == generation then
      mine = count
    elseif ends > now then
      others = others .. string.sub(packed, at, at + LENGTH - 1)
      last = math.max(last, ends)
    end
  end
  return mine, others, last
end
