-- A part of one room's members, which it leaves as they are. KEYS are members and due as in presence_room.lua; ARGV the
-- cursor of HSCAN, '0' to begin, and how many users to look at. Answers the time, how many users there are (only with
-- the first part), the next cursor, '0' at the end, and users and their records by turns.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local total = 0
if ARGV[1] == '0' then
  total = redis.call('ZCOUNT', KEYS[2], '(' .. string.format('%d', now), '+inf')
end
local part = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
return {now, total, part[1], part[2]}
