-- KEYS: all nodes, by name. ARGV: this node's name, what it tells of itself as JSON, milliseconds for which that counts.
-- Answers with what the living tell, this one included.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d ', now_ms + ARGV[3]) .. ARGV[2])
local living = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local until_ms, told = string.match(all[i + 1], '^(%d+) (.*)$')
  if until_ms and tonumber(until_ms) > now_ms then
    living[#living + 1] = told
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return living
