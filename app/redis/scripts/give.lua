#!lua flags=allow-oom
-- Items go back to all, as if the worker had never had them.  ARGV: run, worker, then for each its stream, id.
local refusal = refuse()
if refusal then return refusal end
local n = 0
for i = 3, #ARGV, 2 do
  local stream, id = STREAMS[tonumber(ARGV[i])], ARGV[i + 1]
  local entry = entry_of(stream, id)
  call('XACK', stream, 'w', id)
  if entry then
    call('XDEL', stream, id)
    put_back(entry)
    n = n + 1
  end
end
return {'OK', n}
