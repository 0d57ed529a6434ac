-- Moves the idle deadline forward, in any format of record.
-- KEYS[1] the record. ARGV: new idle deadline, now and margin (8 bytes each, ms); time to live for that deadline (ms);
-- '1' if PEXPIRE knows GT.
-- Answers 0 missing, 1 touched, 3 corrupt.
-- Numbers stand in quotes where they can: the server would format them like doubles, which takes as long as a command.
local head = redis.pcall('GETRANGE', KEYS[1], '0', '27')
if type(head) == 'table' then return head end
if head == '' then return 0 end
if #head < 28 then return 3 end
local magic, expires, deadline = struct.unpack('>c3xxxxxxxxxI8I8', head)
if magic ~= 'SES' or expires > 253402300799999 or deadline > 253402300799999 then return 3 end
local given, now, margin = struct.unpack('>I8I8I8', ARGV[1])
if now >= expires or now >= deadline then return 0 end
if given <= expires then return 1 end

-- PEXPIRE goes first: it is allowed when the server is out of memory, and after it so is SETRANGE.
local ttl = ARGV[2]
if given > deadline then ttl = string.format('%d', deadline - now + margin) end
if ARGV[3] == '1' then
  redis.call('PEXPIRE', KEYS[1], ttl, 'GT')
else
  redis.call('PEXPIRE', KEYS[1], math.max(tonumber(ttl), redis.call('PTTL', KEYS[1])))
end
redis.call('SETRANGE', KEYS[1], '12', string.sub(ARGV[1], 1, 8))
return 1
