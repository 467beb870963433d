#!lua flags=no-writes
-- What the workers have said last, for who only looks.  No ARGV.  Answers for each worker that is there its name, how many
-- ms ago it said something, its record; then the settings and why all were told to stop ('': nothing of that).
if not call('HGET', RUN, 'run') then return {'NONE'} end
local time, kept, workers = call('TIME'), call('HMGET', RUN, 'ahead', 'settings', 'stop'), {}
local now_is = time[1] * 1000 + math.floor(time[2] / 1000) + (tonumber(kept[1]) or 0)
for _, worker in ipairs(call('HKEYS', ALIVE)) do
  local at, record = string.match(call('HGET', WHO, worker) or '', '^(%d+) (.*)$')
  table.insert(workers, {worker, math.max(0, now_is - (tonumber(at) or now_is)), record or ''})
end
return {'OK', workers, kept[2] or '', kept[3] or ''}
