-- KEYS: the lease. ARGV: the owner as JSON, milliseconds to live, its fence. Answers with the owner as it is then.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] and cjson.decode(held).fence >= tonumber(ARGV[3]) then
  return held
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
