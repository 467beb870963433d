#!lua flags=allow-oom
-- Dead letters become items again.  ARGV: run, then for each its number, its new meta data, and its new body if it is
-- another item, which gets a number of its own ('': it stays what it is).  Answers for each whether it was a letter.
if call('HGET', RUN, 'run') ~= ARGV[1] then return {'RESET'} end
local time, done, n = string.format('%.0f', now()), {}, 0
for i = 2, #ARGV, 3 do
  local number, body = ARGV[i], ARGV[i + 2]
  local packed = call('HGET', LETTERS, number)
  if packed then
    local letter = cmsgpack.unpack(packed)
    call('HDEL', LETTERS, number)
    call('ZREM', GRAVES, number)
    if body ~= '' then number = string.format('%.0f', call('HINCRBY', RUN, 'numbers', 1)) end
    put_back({n = number, m = ARGV[i + 1], d = 0, c = letter.c, t = letter.t, s = time,
      b = body ~= '' and body or letter.b})
    n = n + 1
  end
  done[#done + 1] = packed and 1 or 0
end
if n > 0 then call('HINCRBY', RUN, 'dead', -n) end
return {'OK', done}
