-- Writes one index entry, on servers whose PEXPIRE knows neither NX nor GT (before 7.0).
-- KEYS[1] the index. ARGV: deadline of the record (ms), id, time to live (ms), end of what is trimmed.
redis.call('ZADD', KEYS[1], 'GT', ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[4])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
