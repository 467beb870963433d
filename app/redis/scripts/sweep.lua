#!lua flags=allow-oom
-- Entries that nobody has and nobody will be given, since a stranger has removed a consumer or moved a group, go back to
-- all.  ARGV: run, worker, a stream, the id from which on it looks ('-': the first), how many entries it looks at, at most.
-- Answers how many went back, and from which id on to look next ('': that was all).
local refusal = refuse()
if refusal then return refusal end
local stream, from, most, n, seen, bytes = STREAMS[tonumber(ARGV[3])], ARGV[4], tonumber(ARGV[5]), 0, 0, 0
local group
make_groups()
for _, fields in ipairs(call('XINFO', 'GROUPS', stream)) do
  local one = fields_of(fields)
  if one.name == 'w' then group = one end
end
-- As many were handed out and are still there as somebody has: there is none.  (The server does not always know how many
-- were not handed out yet: `lag`.)
if from == '-' and group.lag and call('XLEN', stream) - group.lag == group.pending then return {'OK', 0, ''} end
while seen < most and bytes < MOST_BYTES do
  local step = math.min(16, most - seen)
  local found = call('XRANGE', stream, from, group['last-delivered-id'], 'COUNT', step)
  for _, item in ipairs(found) do
    local id = item[1]
    if #call('XPENDING', stream, 'w', id, id, 1) == 0 then
      local entry = entry_of(stream, id)
      call('XDEL', stream, id)
      put_back(entry)
      n = n + 1
    end
    from = '(' .. id
    for _, text in ipairs(item[2]) do bytes = bytes + #text end
  end
  seen = seen + #found
  if #found < step then return {'OK', n, ''} end
end
return {'OK', n, from}
