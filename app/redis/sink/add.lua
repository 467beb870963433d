#!lua
-- Adds entries to a stream, unless those of their item are there.  KEYS: stream, mark of the ledger, and for each item the
-- part of the ledger that has its bit; ARGV: how long the ledger is kept, in seconds; MAXLEN's operator or '', and its
-- number; then for each item its bit and how many entries it has, and for each of them how many words it has, and these.
-- All of an item are added, or none: who cannot add one has added none, for what is wrong is wrong with the stream.
local stream, mark, keep, at = KEYS[1], KEYS[2], ARGV[1], 4
local limit = ARGV[2] ~= '' and {'MAXLEN', ARGV[2], ARGV[3]} or {}
for k = 3, #KEYS do
  local ledger, bit, entries = KEYS[k], ARGV[at], tonumber(ARGV[at + 1])
  local is_there = redis.call('GETBIT', ledger, bit) == 1
  at = at + 2
  for _ = 1, entries do
    local words = tonumber(ARGV[at])
    if not is_there then
      local command = {unpack(limit)}
      table.insert(command, '*')
      for i = at + 1, at + words do table.insert(command, ARGV[i]) end
      redis.call('XADD', stream, unpack(command))
    end
    at = at + 1 + words
  end
  if not is_there then redis.call('SETBIT', ledger, bit, 1) end
  if ledger ~= KEYS[k + 1] then redis.call('EXPIRE', ledger, keep) end
end
redis.call('SET', mark, 1, 'EX', keep)
return 'OK'
