-- Compare-and-set of one record.
-- KEYS[1] the record. ARGV: expected revision (8 bytes), new record, now (ms), margin (ms).
-- Answers 0 missing, 1 updated, 2 conflict, 3 corrupt, 4 unsupported format.
-- Numbers go to the server as text: what Lua holds as a number it would write like a double, which takes long.
local head = redis.pcall('GETRANGE', KEYS[1], '0', '27')
if type(head) == 'table' then return head end
if head == '' then return 0 end
if #head < 28 or string.sub(head, 1, 3) ~= 'SES' then return 3 end
local expires, deadline = struct.unpack('>I8I8', head, 13)
if expires > 253402300799999 or deadline > 253402300799999 then return 3 end
local now, margin = tonumber(ARGV[3]), tonumber(ARGV[4])
if now >= expires or now >= deadline then return 0 end
if string.byte(head, 4) ~= 1 then return 4 end

local record, revision = ARGV[2], string.sub(head, 5, 12)
if revision ~= ARGV[1] then
  if revision ~= string.sub(record, 5, 12) then return 2 end
  -- Our own earlier send. Write something, so that WAIT has something to wait for.
  redis.call('PEXPIRE', KEYS[1], math.min(expires, deadline) - now + margin)
  return 1
end

local new_expires, new_deadline = struct.unpack('>I8I8', record, 13)
if expires > new_expires then
  record = string.sub(record, 1, 12) .. string.sub(head, 13, 20) .. string.sub(record, 21)
  new_expires = expires
end
local ttl = math.max(math.min(new_expires, new_deadline) - now + margin, 1)
redis.call('SET', KEYS[1], record, 'PX', string.format('%d', ttl))
return 1
