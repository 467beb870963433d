#!lua flags=allow-oom
-- Hands out items: first a suspect, unless the worker has one; then what came back, then what is fresh, or the other way
-- round.  ARGV: run, worker, how many, '1' if what is fresh goes first, the ms of waiting that make an item one class
-- more urgent.  Answers the server's time and for each entry its stream, its id and the fields m, s and b; END when there
-- will never be any.
local refusal = refuse()
if refusal then return refusal end
local worker, want, fresh_first, aging = ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1', tonumber(ARGV[5])
local out, bytes = {}, 0

local function read(stream, n)
  return redis.pcall('XREADGROUP', 'GROUP', 'w', worker, 'COUNT', n, 'STREAMS', STREAMS[stream], '>')
end

-- Hands out n of a stream: how many there were.
local function deliver(stream, n)
  local got = read(stream, n)
  if got and got.err then -- a stranger has removed the group
    make_groups()
    got = read(stream, n)
  end
  if not got then return 0 end
  if got.err then error(got) end
  for _, entry in ipairs(got[1][2]) do
    local fields = entry[2]
    if fields then -- else a stranger has deleted it meanwhile
      local meta, since, body = fields[2], fields[10], fields[12] -- as add() has them
      if fields[1] ~= 'm' or fields[9] ~= 's' or fields[11] ~= 'b' then -- a stranger's
        fields = fields_of(fields)
        meta, since, body = fields.m or '', fields.s or '', fields.b or ''
      end
      out[#out + 1] = {stream, entry[1], meta, since, body}
      bytes = bytes + #meta + #body
    end
  end
  return #got[1][2]
end

-- The bytes are known only afterwards: so few at first, and more as long as they are small.
local function deliver_all(stream)
  local step = 1
  while #out < want and bytes < MOST_BYTES do
    local n = math.min(step, want - #out)
    if deliver(stream, n) < n then return end
    step = math.max(1, math.min(4 * step, math.floor((MOST_BYTES - bytes) / (bytes / #out) / 4)))
  end
end

local function last_delivered(stream)
  for _, group in ipairs(call('XINFO', 'GROUPS', STREAMS[stream])) do
    local fields = fields_of(group)
    if fields.name == 'w' then return fields['last-delivered-id'] end
  end
  make_groups()
  return '0-0'
end

-- When the next entry of a class would have been added, had it been of class 0; nil: there is none.
local function rank(stream, last)
  local head = call('XRANGE', STREAMS[stream], '(' .. last, '+', 'COUNT', 1)[1]
  return head and tonumber(fields_of(head[2]).t) + (stream - FRESH) * aging
end

-- Several classes: always the one whose next entry has the lowest rank.
local function deliver_classes()
  local ranks, n = {}, 0
  for stream = FRESH, #STREAMS do
    ranks[stream] = call('XLEN', STREAMS[stream]) > 0 and rank(stream, last_delivered(stream)) or nil
    if ranks[stream] then n = n + 1 end
  end
  while n > 1 and #out < want and bytes < MOST_BYTES do
    local best
    for stream = FRESH, #STREAMS do
      if ranks[stream] and (not best or ranks[stream] < ranks[best]) then best = stream end
    end
    if deliver(best, 1) == 0 then return end
    ranks[best] = rank(best, out[#out][2])
    if not ranks[best] then n = n - 1 end
  end
  for stream = FRESH, #STREAMS do
    if ranks[stream] then deliver_all(stream) end
  end
end

local function deliver_fresh()
  if #STREAMS > FRESH then deliver_classes() else deliver_all(FRESH) end
end

if call('XLEN', STREAMS[SUSPECT]) > 0 then
  local held = redis.pcall('XPENDING', STREAMS[SUSPECT], 'w', '-', '+', 1, worker)
  if held.err or not held[1] then deliver(SUSPECT, 1) end
end
if fresh_first then deliver_fresh() end
deliver_all(RETURNED)
if not fresh_first then deliver_fresh() end
if #out == 0 and is_over() == 1 then return {'END'} end
return {'OK', string.format('%.0f', now()), out}
