#!lua flags=allow-oom
-- Items are settled elsewhere.  ARGV: run, worker, then for each its fate ('succeeded', 'dropped', 'dead'), stream, id.
-- Answers how many were settled by this, and whether all is over.
local refusal = refuse()
if refusal then return refusal end
local ids, n = {}, 0
for i = 3, #ARGV, 3 do
  local fate, stream = ARGV[i], tonumber(ARGV[i + 1])
  ids[fate] = ids[fate] or {}
  ids[fate][stream] = ids[fate][stream] or {}
  table.insert(ids[fate][stream], ARGV[i + 2])
end
local has_kept = call('EXISTS', KEPT) == 1
-- What was kept of these; of what is settled elsewhere it is another worker's.
local function forget(list)
  if not has_kept then return end
  local numbers = {}
  for i, id in ipairs(list) do numbers[i] = number_of(id) end
  call('HDEL', KEPT, unpack(numbers))
end
for fate, streams in pairs(ids) do
  local settled = 0
  for stream, list in pairs(streams) do
    local key = STREAMS[stream]
    if call('XACK', key, 'w', unpack(list)) == #list then
      call('XDEL', key, unpack(list))
      forget(list)
      settled = settled + #list
    else -- sent again, or the server has forgotten that it was handed out: what is still there is settled now
      for _, id in ipairs(list) do
        if call('XDEL', key, id) == 1 then
          forget({id})
          settled = settled + 1
        end
      end
    end
  end
  if settled > 0 then call('HINCRBY', RUN, fate, settled) end
  n = n + settled
end
return {'OK', n, is_over()}
