-- KEYS: all nodes, by name. ARGV: this node's name, what it tells of itself as JSON, milliseconds for which that counts.
-- Answers with what was told by this name before, where that counted still, and with what the living tell, this one
-- included.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local function counting(entry)
  local until_ms, told = string.match(entry or '', '^(%d+) (.*)$')
  return until_ms and tonumber(until_ms) > now_ms and told
end
local before = counting(redis.call('HGET', KEYS[1], ARGV[1]))
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d ', now_ms + ARGV[3]) .. ARGV[2])
local living = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local told = counting(all[i + 1])
  if told then
    living[#living + 1] = told
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return {before or '', living}
