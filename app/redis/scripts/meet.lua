#!lua flags=allow-oom
-- Once a second: what a worker says of itself against what all others say.  ARGV: run, worker, its number, which grows,
-- its record, the version of the settings that it has, the number of limits, for each its name, capacity, what the worker holds, wants and needs of
-- it; then names and numbers of workers whose shares have ended, as they have not met for too long.
-- Answers the accounts, the numbers of all, for each limit what the worker may use of it, and what each one holds and
-- needs; the version of the settings, these ('': as before), and why the worker shall stop ('': it shall not).  Never grants more than is free; what a worker may be using, it has.
local refusal = refuse()
if refusal then return refusal end
local worker, number, limits = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[6])
if number <= tonumber(call('HGET', ALIVE, worker)) then return {'LATE'} end
call('HSET', ALIVE, worker, string.format('%.0f', number))
call('HSET', WHO, worker, string.format('%.0f %s', now(), ARGV[4]))
for i = 7 + 5 * limits, #ARGV, 2 do
  if call('HGET', ALIVE, ARGV[i]) == ARGV[i + 1] then call('HDEL', SHARES, ARGV[i]) end
end
local shares, mine, told = {}, {}, {}
if limits > 0 then
  local packed = call('HGETALL', SHARES)
  for i = 1, #packed, 2 do
    if packed[i] ~= worker then shares[packed[i]] = cmsgpack.unpack(packed[i + 1]) end
  end
end
for l = 0, limits - 1 do
  local name, capacity, holds, wants, needs = unpack(ARGV, 7 + 5 * l, 11 + 5 * l)
  local free, all = tonumber(capacity), {}
  for other, limits_of_other in pairs(shares) do
    local share = limits_of_other[name]
    if share then
      free = free - share[1]
      for _, value in ipairs({other, share[1], share[2]}) do all[#all + 1] = value end
    end
  end
  local granted = math.max(0, math.min(tonumber(wants), free))
  mine[name] = {math.max(granted, tonumber(holds)), tonumber(needs)}
  told[#told + 1] = {name, granted, all}
end
if limits > 0 then call('HSET', SHARES, worker, cmsgpack.pack(mine)) end
local order = call('HMGET', RUN, 'version', 'settings', 'stop', 'stops')
local version, stops = order[1] or '0', tonumber(string.match(worker, '%d+$')) <= (tonumber(order[4]) or -1)
return {'OK', accounts(), call('HGETALL', ALIVE), told, version, version ~= ARGV[5] and order[2] or '',
  stops and order[3] or ''}
