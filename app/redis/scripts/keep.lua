#!lua flags=allow-oom
-- What is to come back of items if their worker dies.  ARGV: run, worker, then for each its stream, id, a number that grows
-- from call to call, so that one that comes late replaces nothing, meta data.
local refusal = refuse()
if refusal then return refusal end
local time, n = string.format('%.0f', now()), 0
for i = 3, #ARGV, 4 do
  local stream, id = STREAMS[tonumber(ARGV[i])], ARGV[i + 1]
  local held = redis.pcall('XPENDING', stream, 'w', id, id, 1, ARGV[2])
  if not held.err and held[1] then
    local number = number_of(id)
    local newest = string.match(call('HGET', KEPT, number) or '', '^%d+ (%d+) ')
    if tonumber(ARGV[i + 2]) > tonumber(newest or 0) then
      call('HSET', KEPT, number, time .. ' ' .. ARGV[i + 2] .. ' ' .. ARGV[i + 3])
    end
    n = n + 1
  end
end
return {'OK', n}
