#!lua flags=allow-oom
-- Forgets dead letters.  ARGV: run, then their numbers.  Answers how many there were.
if call('HGET', RUN, 'run') ~= ARGV[1] then return {'RESET'} end
local n = 0
for i = 2, #ARGV do
  n = n + call('HDEL', LETTERS, ARGV[i])
  call('ZREM', GRAVES, ARGV[i])
end
return {'OK', n}
