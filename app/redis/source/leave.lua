#!lua flags=allow-oom
-- Removes a consumer with which nothing is pending.  ARGV: group, consumer.
if not redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2])[1] then
  redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
end
return 'OK'
