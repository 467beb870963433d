#!lua flags=allow-oom
-- Makes what is pending with a consumer look busy, but for what another one has claimed.  ARGV: group, consumer, first
-- and last id, how many entries at most.  Answers the ids.
local ids = {}
for i, entry in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[2])) do
  ids[i] = entry[1]
end
if ids[1] then
  local claim = {unpack(ids)}
  table.insert(claim, 'JUSTID')
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, unpack(claim))
end
return ids
