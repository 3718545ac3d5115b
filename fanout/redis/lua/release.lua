-- Gives a node's name back. KEYS 1 the name's key; ARGV 1 who gives it back, which does nothing if it is not theirs.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
