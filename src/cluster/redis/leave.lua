-- KEYS: all nodes, by name. ARGV: this node's name, its incarnation. One that took its name stays.
local told = redis.call('HGET', KEYS[1], ARGV[1])
if told and cjson.decode(string.match(told, '^%d+ (.*)$')).incarnation == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
