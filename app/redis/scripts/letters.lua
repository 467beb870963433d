#!lua flags=no-writes
-- Dead letters, by number.  ARGV: run, after which number, up to which, how many at most.  Answers for each its number,
-- meta data, body, what it died of, evidence, when in ms.
if call('HGET', RUN, 'run') ~= ARGV[1] then return {'RESET'} end
local out, bytes = {}, 0
for _, number in ipairs(call('ZRANGEBYSCORE', GRAVES, '(' .. ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])) do
  local packed = call('HGET', LETTERS, number)
  local letter = packed and cmsgpack.unpack(packed)
  if letter then
    out[#out + 1] = {number, letter.m, letter.b, letter.why, letter.evidence, letter.at}
    bytes = bytes + #packed
  end
  if bytes >= MOST_BYTES then break end
end
return {'OK', out}
