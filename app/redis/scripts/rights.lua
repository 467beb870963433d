#!lua flags=no-writes
-- Whether the user may do to the queue's keys what the scripts do, and BLPOP.  No ARGV.  Answers OK, or RIGHTS and the
-- first command that it may not use.
local uses = {
  {RUN, 'HGET', 'HGETALL', 'HINCRBY', 'HMGET', 'HSET', 'UNLINK', 'TYPE'},
  {ALIVE, 'HDEL', 'HEXISTS', 'HKEYS', 'HLEN', 'EXISTS'},
  {WAKE, 'LLEN', 'RPUSH', 'BLPOP'},
  {GRAVES, 'ZADD', 'ZCARD', 'ZRANGE', 'ZRANGEBYSCORE', 'ZREM'},
  {STREAMS[1], 'XACK', 'XADD', 'XDEL', 'XLEN', 'XPENDING', 'XRANGE'},
}
local function may(...)
  local ok, allowed = pcall(redis.acl_check_cmd, ...)
  return not ok or allowed
end
for _, use in ipairs(uses) do
  for i = 2, #use do
    if not may(use[i], use[1], use[1], use[1], use[1]) then return {'RIGHTS', use[i]} end -- all of them may be keys
  end
end
for _, words in ipairs({{'XGROUP', 'CREATE', STREAMS[1], 'w', '0'}, {'XGROUP', 'DELCONSUMER', STREAMS[1], 'w', 'x'},
  {'XINFO', 'CONSUMERS', STREAMS[1], 'w'}, {'XINFO', 'GROUPS', STREAMS[1]}, {'MEMORY', 'USAGE', WAITING},
  {'XREADGROUP', 'GROUP', 'w', 'x', 'STREAMS', STREAMS[1], '>'}, {'TIME'}}) do
  if not may(unpack(words)) then return {'RIGHTS', words[1]} end
end
return {'OK'}
