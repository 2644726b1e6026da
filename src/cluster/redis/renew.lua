-- KEYS: the lease. ARGV: the owner as JSON, milliseconds to live. Answers with the owner as it is then, if there is one.
local held = redis.call('GET', KEYS[1])
if held == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return held
