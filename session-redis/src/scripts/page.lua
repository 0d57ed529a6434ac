-- One page of an index in the order (deadline, id), after a position.
-- KEYS[1] the index. ARGV: limit, least deadline; or limit, deadline and id of the last entry seen.
-- An entry that is gone is replaced by the first of its deadline: entries may repeat, none is missed.
local start
local at = ARGV[3] and redis.call('ZSCORE', KEYS[1], ARGV[3])
if at and tonumber(at) == tonumber(ARGV[2]) then
  start = redis.call('ZRANK', KEYS[1], ARGV[3]) + 1
else
  start = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[2])
end
return redis.call('ZRANGE', KEYS[1], start, start + ARGV[1] - 1, 'WITHSCORES')
