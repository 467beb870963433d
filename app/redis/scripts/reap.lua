#!lua flags=allow-oom
-- What workers that were taken out still hold goes back to all, as new entries; what too many died of becomes a dead
-- letter.  ARGV: run, worker, how many items at most, how many deaths are too many.  Answers how many went, and how many
-- of them were buried.
local refusal = refuse()
if refusal then return refusal end
local most, deaths, n, buried, bytes = tonumber(ARGV[3]), tonumber(ARGV[4]), 0, 0, 0

local function put_back_orphan(stream, id)
  local entry = entry_of(stream, id)
  call('XACK', stream, 'w', id)
  if not entry then return end -- a stranger has deleted it
  call('XDEL', stream, id)
  bytes = bytes + #entry.b + #entry.m
  entry.d = tonumber(entry.d) + 1
  if entry.d >= deaths then
    bury(entry, string.format('crash: %d workers died while they had it; its row may be there', entry.d), '')
    buried = buried + 1
  else
    put_back(entry)
  end
end

make_groups()
for _, stream in ipairs(STREAMS) do
  for _, fields in ipairs(call('XINFO', 'CONSUMERS', stream, 'w')) do
    local worker = fields_of(fields)
    if not is_alive(worker.name) then
      local left_of = worker.pending
      while left_of > 0 and n < most and bytes < MOST_BYTES do
        local step = math.min(16, most - n)
        local held = call('XPENDING', stream, 'w', '-', '+', step, worker.name)
        for _, pending in ipairs(held) do put_back_orphan(stream, pending[1]) end
        n = n + #held
        left_of = #held < step and 0 or left_of - #held
      end
      if left_of == 0 then call('XGROUP', 'DELCONSUMER', stream, 'w', worker.name) end
    end
  end
end
if n < most then
  for _, worker in ipairs(call('HKEYS', WHO)) do
    if not is_alive(worker) then call('HDEL', WHO, worker) end
  end
end
return {'OK', n, buried}
