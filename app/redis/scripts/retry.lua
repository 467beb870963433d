#!lua flags=allow-oom
-- Items wait for their next attempt.  ARGV: run, worker, then for each its stream, id, the ms to wait, its meta data.
local refusal = refuse()
if refusal then return refusal end
local time, n = now(), 0
for i = 3, #ARGV, 4 do
  local stream, id, wait = STREAMS[tonumber(ARGV[i])], ARGV[i + 1], tonumber(ARGV[i + 2])
  local entry = entry_of(stream, id)
  call('XACK', stream, 'w', id)
  if entry then
    entry.m, entry.s = ARGV[i + 3], string.format('%.0f', time)
    call('XDEL', stream, id)
    if wait > 0 then
      call('ZADD', RETRIES, time + wait, entry.n)
      call('HSET', WAITING, entry.n, cmsgpack.pack(entry))
    else
      put_back(entry)
    end
    n = n + 1
  end
end
return {'OK', n}
