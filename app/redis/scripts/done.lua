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
for fate, streams in pairs(ids) do
  local settled = 0
  for stream, list in pairs(streams) do
    local key = STREAMS[stream]
    if call('XACK', key, 'w', unpack(list)) == #list then
      call('XDEL', key, unpack(list))
      settled = settled + #list
    else -- sent again, or the server has forgotten that it was handed out: what is still there is settled now
      settled = settled + call('XDEL', key, unpack(list))
    end
  end
  if call('EXISTS', KEPT) == 1 then
    for _, list in pairs(streams) do
      for _, id in ipairs(list) do call('HDEL', KEPT, number_of(id)) end
    end
  end
  if settled > 0 then call('HINCRBY', RUN, fate, settled) end
  n = n + settled
end
return {'OK', n, is_over()}
