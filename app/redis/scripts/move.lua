#!lua flags=allow-oom
-- Items whose wait is over go back to all.  ARGV: run, worker, how many at most.  Answers how many did, and in how many ms
-- the next one is due (-1: none waits).
local refusal = refuse()
if refusal then return refusal end
local time, n, bytes = now(), 0, 0
for _, number in ipairs(call('ZRANGEBYSCORE', RETRIES, '-inf', time, 'LIMIT', 0, ARGV[3])) do
  local packed = call('HGET', WAITING, number)
  call('ZREM', RETRIES, number)
  call('HDEL', WAITING, number)
  if packed then
    put_back(cmsgpack.unpack(packed))
    bytes = bytes + #packed
  end
  n = n + 1
  if bytes >= MOST_BYTES then break end
end
local next_one = call('ZRANGE', RETRIES, 0, 0, 'WITHSCORES')
return {'OK', n, next_one[2] and math.max(0, math.ceil(next_one[2] - time)) or -1}
