#!lua flags=allow-oom
-- The next entries for a consumer.  ARGV: group, consumer, most entries, most bytes of an entry, most bytes of all but
-- the last one, how:
--   own AFTER        those that are pending with it
--   claim IDLE FROM  those that have been pending with anybody for so many ms
--   fresh            those that nobody has had
--   look AFTER       those of the stream, which stay where they are
-- A page ends before what another consumer has: so its first and last id are enough to know its entries again.  Answers
-- where claiming goes on ('' for all others), how many entries were removed before anybody had them, ids that
-- were pending and are not in the stream, and {id, fields} for each entry, {id, bytes} if it is too large, {id} if it is
-- not in the stream; and 1 if there are more that are pending with the consumer now.
local key, group, consumer, most = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local entry_bytes, page_bytes, how = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local call = redis.call

local function map_of(list)
  local map = {}
  for i = 1, #list, 2 do map[list[i]] = list[i + 1] end
  return map
end

-- The group has a count of what it was given, those included that were removed before they could be.  After a removal
-- Redis does not see to that itself.
local function count_removed()
  for _, list in ipairs(call('XINFO', 'GROUPS', key)) do
    local info = map_of(list)
    local read, last = info['entries-read'], info['last-delivered-id']
    if info.name == group and read and not call('XRANGE', key, '-', last, 'COUNT', 1)[1] then
      local stream = map_of(call('XINFO', 'STREAM', key))
      local removed = stream['entries-added'] - stream.length
      if removed > read then
        call('XGROUP', 'SETID', key, group, last, 'ENTRIESREAD', removed)
        return removed - read
      end
    end
  end
  return 0
end

local function read(after)
  local found = call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', most, 'STREAMS', key, after)
  return found and found[1][2] or {}
end

local entries, next_from, removed, gone = {}, '', 0, {}
if how == 'own' then
  entries = read(ARGV[7])
elseif how == 'claim' then
  next_from, entries, gone = unpack(call('XAUTOCLAIM', key, group, consumer, ARGV[7], ARGV[8], 'COUNT', most))
elseif how == 'fresh' then
  if call('EXISTS', key) == 1 then removed = count_removed() end
  entries = read('>')
else
  entries = call('XRANGE', key, '(' .. ARGV[7], '+', 'COUNT', most)
end

local page, bytes, more = {}, 0, 0
for i, entry in ipairs(entries) do
  local id, fields, n = entry[1], entry[2], 0
  for _, text in ipairs(fields or {}) do n = n + #text end
  if n > entry_bytes then fields, n = n, 0 end
  page[i] = fields and {id, fields} or {id}
  bytes = bytes + n
  if bytes > page_bytes and i < #entries then
    more = 1
    break
  end
end
if page[1] and (how == 'own' or how == 'claim') then
  for i, held in ipairs(call('XPENDING', key, group, page[1][1], page[#page][1], #page)) do
    if held[1] ~= page[i][1] then
      page, more = {unpack(page, 1, i - 1)}, 1
      break
    end
  end
end
return {next_from, removed, gone, page, more}
