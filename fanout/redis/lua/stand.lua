-- Where a room's stream stands. Scripts that give or read positions begin with this text.
--
-- position  the key of the room's position (hash: epoch, run, offset, jumps)
-- stream    the key of what the room keeps
-- lives     the key that says when each server was last known to be alive (hash: run id, Unix time in ms)
-- run       the run id of this server
-- whole     the Unix time (ms) since which this server has kept all that it was told, 0 if it has since ever
-- fresh     an epoch never used before
--
-- A position that was written on another server, or in another life of this one, may miss what was acknowledged last.
-- If that server lived when this one had begun to keep everything, its data has come over a replica's link, a moved slot
-- or this server's own file, and misses a last bit at most. Then the stream goes on in its epoch, but jumps to an offset
-- that was never given: the milliseconds since 2026, with room for 1024 publications in each. `jumps` remembers where
-- from and where to, of the last eight of them. Anything else may miss anything, and the stream begins anew.
local function stand(position, stream, lives, run, whole, fresh)
  local known = redis.call('HMGET', position, 'epoch', 'run', 'offset', 'jumps')
  local epoch, offset, jumps = known[1], tonumber(known[3] or '0'), known[4] or ''
  if epoch and known[2] == run then
    return epoch, offset, jumps
  end
  local clock = redis.call('TIME')
  local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
  local lived = epoch and redis.call('HMGET', lives, known[2])[1] or '0'
  redis.call('HSET', lives, run, string.format('%.0f', now))
  if not epoch or tonumber(lived) < tonumber(whole) then
    redis.call('DEL', position, stream)
    redis.call('HSET', position, 'epoch', fresh, 'run', run)
    return fresh, 0, ''
  end
  local base = math.max(offset + 1, (now - 1767225600000) * 1024)
  jumps = jumps .. string.format('%.0f:%.0f,', offset, base)
  local _, count = string.gsub(jumps, ',', '')
  if count > 8 then
    jumps = string.gsub(jumps, '^[^,]*,', '')
  end
  redis.call('HSET', position, 'run', run, 'offset', string.format('%.0f', base), 'jumps', jumps)
  return epoch, base, jumps
end

-- append gives an envelope the next place, keeps it there and publishes it.
local function append(position, stream, epoch, offset, envelope, a)
  local digits = string.format('%.0f', offset + 1)
  redis.call('HSET', position, 'offset', digits)
  redis.call('XADD', stream, 'MAXLEN', a.size, digits .. '-0', 'envelope', envelope, 'bytes', a.bytes)
  redis.call('PEXPIRE', stream, a.ttl)
  redis.call('PEXPIRE', position, a.rest)
  local place = epoch .. ':' .. digits
  redis.call(a.command, a.channel, '\2' .. place .. ':' .. envelope)
  return place
end
