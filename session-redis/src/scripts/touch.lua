-- Moves the idle deadline forward, in any format of record.
-- KEYS[1] the record. ARGV: new idle deadline (8 bytes), now (ms), margin (ms), '1' if PEXPIRE knows GT.
-- Answers 0 missing, 1 touched, 3 corrupt.
-- Numbers go to the server as text: what Lua holds as a number it would write like a double, which takes long.
local head = redis.pcall('GETRANGE', KEYS[1], '0', '27')
if type(head) == 'table' then return head end
if head == '' then return 0 end
if #head < 28 or string.sub(head, 1, 3) ~= 'SES' then return 3 end
local expires, deadline = struct.unpack('>I8I8', head, 13)
if expires > 253402300799999 or deadline > 253402300799999 then return 3 end
local now = tonumber(ARGV[2])
if now >= expires or now >= deadline then return 0 end
local given = struct.unpack('>I8', ARGV[1])
if given <= expires then return 1 end

-- PEXPIRE goes first: it is allowed when the server is out of memory, and after it so is SETRANGE.
local ttl = math.min(given, deadline) - now + tonumber(ARGV[3])
if ARGV[4] == '1' then
  redis.call('PEXPIRE', KEYS[1], string.format('%d', ttl), 'GT')
else
  redis.call('PEXPIRE', KEYS[1], math.max(ttl, redis.call('PTTL', KEYS[1])))
end
redis.call('SETRANGE', KEYS[1], '12', ARGV[1])
return 1
