-- Removes one record, whatever it is, or only if it is this subject's.
-- KEYS[1] the record. ARGV: subject ('' = whoever's), '1' to remove what has no readable subject too.
-- Answers what was removed: nil for nothing, else its first bytes and its length.
local head = redis.pcall('GETRANGE', KEYS[1], '0', '405')
local unreadable = false
if type(head) == 'table' then
  if not string.find(head.err, 'WRONGTYPE', 1, true) then return head end
  head, unreadable = '', true
elseif #head < 69 or string.sub(head, 1, 3) ~= 'SES' or #head < 69 + string.byte(head, 69) then
  unreadable = true
end
if ARGV[1] ~= '' then
  if unreadable then
    if ARGV[2] ~= '1' then return nil end
  elseif string.sub(head, 70, 69 + string.byte(head, 69)) ~= ARGV[1] then
    return nil
  end
end
local size = 0
if head ~= '' then size = redis.call('STRLEN', KEYS[1]) end
if redis.call('UNLINK', KEYS[1]) == 0 then return nil end
return { head, size }
