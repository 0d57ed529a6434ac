-- Compare-and-set of one record.
-- KEYS[1] the record. ARGV: expected revision (8 bytes); new record; its time to live (ms); now and margin (8 bytes
-- each, ms).
-- Answers 0 missing, 1 updated, 2 conflict, 3 corrupt, 4 unsupported format.
-- Numbers stand in quotes where they can: the server would format them like doubles, which takes as long as a command.
local head = redis.pcall('GETRANGE', KEYS[1], '0', '27')
if type(head) == 'table' then return head end
if head == '' then return 0 end
if #head < 28 then return 3 end
local magic, format, revision, expires, deadline = struct.unpack('>c3Bc8I8I8', head)
if magic ~= 'SES' or expires > 253402300799999 or deadline > 253402300799999 then return 3 end
local now, margin = struct.unpack('>I8I8', ARGV[4])
if now >= expires or now >= deadline then return 0 end
if format ~= 1 then return 4 end

local record, ttl = ARGV[2], ARGV[3]
if revision ~= ARGV[1] then
  if revision ~= string.sub(record, 5, 12) then return 2 end
  -- Our own earlier send. Write something, so that WAIT has something to wait for.
  redis.call('PEXPIRE', KEYS[1], math.min(expires, deadline) - now + margin)
  return 1
end

local new_expires, new_deadline = struct.unpack('>I8I8', record, 13)
if expires > new_expires then
  -- A touch came between load and update.
  record = string.sub(record, 1, 12) .. string.sub(head, 13, 20) .. string.sub(record, 21)
  ttl = string.format('%d', math.max(math.min(expires, new_deadline) - now + margin, 1))
end
redis.call('SET', KEYS[1], record, 'PX', ttl)
return 1
