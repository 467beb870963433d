#!lua flags=allow-oom
-- What is to come back of items if their worker dies.  ARGV: run, worker, then for each its stream, id, meta data.
local refusal = refuse()
if refusal then return refusal end
local time, n = string.format('%.0f', now()), 0
for i = 3, #ARGV, 3 do
  local stream, id = STREAMS[tonumber(ARGV[i])], ARGV[i + 1]
  local held = redis.pcall('XPENDING', stream, 'w', id, id, 1, ARGV[2])
  if not held.err and held[1] then
    call('HSET', KEPT, number_of(id), time .. ' ' .. ARGV[i + 2])
    n = n + 1
  end
end
return {'OK', n}
