#!lua flags=allow-oom
-- Items become dead letters.  ARGV: run, worker, then for each its stream, id, meta data, what it died of,
-- evidence.  Answers how many did, and whether all is over.
local refusal = refuse()
if refusal then return refusal end
local n = 0
for i = 3, #ARGV, 5 do
  local stream, id = STREAMS[tonumber(ARGV[i])], ARGV[i + 1]
  local entry = entry_of(stream, id)
  call('XACK', stream, 'w', id)
  if entry then
    entry.m = ARGV[i + 2]
    call('XDEL', stream, id)
    bury(entry, ARGV[i + 3], ARGV[i + 4])
    n = n + 1
  end
end
return {'OK', n, is_over()}
