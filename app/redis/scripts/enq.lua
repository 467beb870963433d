#!lua
-- Adds items and moves the cursor.  ARGV: run, worker, cursor before, cursor behind them, most items, most bytes (0: any
-- number), then for each item its class (from 0), its meta data, its body.
local refusal = refuse()
if refusal then return refusal end
if call('HGET', RUN, 'producer') ~= ARGV[2] then return {'FENCED'} end
local cursor = call('HGET', RUN, 'cursor')
if cursor == ARGV[4] then -- sent again: a write, so that replicas can be waited for over another connection, too
  call('HSET', RUN, 'cursor', cursor)
  return {'OK'}
end
if cursor ~= ARGV[3] then return {'MOVED', cursor} end
local most_items, most_bytes, n, held = tonumber(ARGV[5]), tonumber(ARGV[6]), (#ARGV - 6) / 3, left()
if held > 0 and held + n > most_items then return {'FULL'} end
if held > 0 and most_bytes > 0 then
  local bytes = (call('MEMORY', 'USAGE', WAITING) or 0) + (call('MEMORY', 'USAGE', KEPT) or 0)
  for _, stream in ipairs(STREAMS) do bytes = bytes + (call('MEMORY', 'USAGE', stream) or 0) end
  for i = 7, #ARGV do bytes = bytes + #ARGV[i] end
  if bytes > most_bytes then return {'FULL'} end
end
local number, drawn = call('HINCRBY', RUN, 'numbers', n) - n, call('HINCRBY', RUN, 'ticket', n) - n
local time = string.format('%.0f', now())
for i = 0, n - 1 do
  local class, meta, body = unpack(ARGV, 7 + 3 * i, 9 + 3 * i)
  local stream = STREAMS[math.min(FRESH + class, #STREAMS)]
  add(stream, {n = string.format('%.0f', number + i + 1), m = meta, d = 0, c = class, t = time, s = time, b = body},
    drawn + i + 1)
end
call('HINCRBY', RUN, 'produced', n)
call('HSET', RUN, 'cursor', ARGV[4], 'sealed', 0)
return {'OK'}
