-- In front of each script.  scripts.h has the keys, and what an entry is.
local RUN, ALIVE, WHO, SHARES, WAKE, GRAVES, RETRIES, WAITING, KEPT, LETTERS = unpack(KEYS, 1, 10)
local SUSPECT, RETURNED, FRESH = 1, 2, 3
local STREAMS = {unpack(KEYS, 11)}
local MOST_BYTES = 4194304
local MOST_WAKES = 64
local call = redis.call

local function take_out(worker)
  call('HDEL', ALIVE, worker)
  call('HDEL', SHARES, worker)
end

local function is_alive(worker)
  return call('HEXISTS', ALIVE, worker) == 1
end

-- Why the caller (ARGV: run, worker, …) may do nothing; nil: it may.
local function refuse()
  if call('HGET', RUN, 'run') ~= ARGV[1] then return {'RESET'} end
  if not is_alive(ARGV[2]) then return {'FENCED'} end
end

local function fields_of(list)
  local map = {}
  for i = 1, #list, 2 do map[list[i]] = list[i + 1] end
  return map
end

local function number_of(id)
  return string.match(id, '%-(%d+)$')
end

local function ticket()
  return call('HINCRBY', RUN, 'ticket', 1)
end

-- The server's clock in ms, but that it never goes back by more than a minute: where it was set back, it goes on from the
-- latest time that was seen.
local function now()
  local time = call('TIME')
  local kept = call('HMGET', RUN, 'ahead', 'latest')
  local clock, ahead, latest = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(kept[1]) or 0, tonumber(kept[2]) or 0
  if clock + ahead < latest - 60000 then
    ahead = latest - clock
    call('HSET', RUN, 'ahead', string.format('%.0f', ahead))
  end
  if clock + ahead >= latest + 1000 then call('HSET', RUN, 'latest', string.format('%.0f', clock + ahead)) end
  return clock + ahead
end

-- An entry that goes elsewhere, as a map with its number and what was kept of it; nil: it is not there.
local function entry_of(stream, id)
  local found = call('XRANGE', stream, id, id)
  if not found[1] then return nil end
  local entry = fields_of(found[1][2])
  entry.n = number_of(id)
  local kept = call('HGET', KEPT, entry.n)
  if kept then
    call('HDEL', KEPT, entry.n)
    entry.s, entry.m = string.match(kept, '^(%d+) %d+ (.*)$')
  end
  return entry
end

-- A worker that waits at `wake` for each item, as long as that is not full of what nobody waited for.
local wakes
local function wake()
  wakes = wakes or call('LLEN', WAKE)
  if wakes < MOST_WAKES then
    call('RPUSH', WAKE, '')
    wakes = wakes + 1
  end
end

-- The id names the item: no other item ever has it, also when the server has forgotten its last second.  drawn: its
-- ticket, if it has one.
local function add(stream, entry, drawn)
  call('XADD', stream, string.format('%.0f-%s', drawn or ticket(), entry.n), 'm', entry.m, 'd', entry.d, 'c', entry.c,
    't', entry.t, 's', entry.s, 'b', entry.b)
  wake()
end

-- Back to all, ahead of what is fresh.
local function put_back(entry)
  add(STREAMS[tonumber(entry.d) >= 2 and SUSPECT or RETURNED], entry)
end

-- why: of what it died; evidence: of that.
local function bury(entry, why, evidence)
  call('HSET', LETTERS, entry.n, cmsgpack.pack({m = entry.m, c = entry.c, t = entry.t, b = entry.b, why = why,
    evidence = evidence, at = string.format('%.0f', now())}))
  call('ZADD', GRAVES, entry.n, entry.n)
  call('HINCRBY', RUN, 'dead', 1)
end

-- Removes all of a run but its tickets, so that no name and no id of it is used again.
local function clear()
  local latest = ticket()
  call('UNLINK', unpack(KEYS))
  call('HSET', RUN, 'ticket', latest)
end

-- Items that are not settled.
local function left()
  local n = call('ZCARD', RETRIES)
  for _, stream in ipairs(STREAMS) do n = n + call('XLEN', stream) end
  return n
end

-- Whether all is settled, and nothing more will be added: 1 or 0.
local function is_over()
  return call('HGET', RUN, 'sealed') == '1' and left() == 0 and 1 or 0
end

-- Makes the groups that are missing: at first all, later those that a stranger has removed.
local function make_groups()
  for _, stream in ipairs(STREAMS) do
    local made = redis.pcall('XGROUP', 'CREATE', stream, 'w', '0', 'MKSTREAM')
    if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then error(made) end
  end
end

local function accounts()
  local kept = call('HMGET', RUN, 'produced', 'succeeded', 'dropped', 'dead', 'sealed')
  for i = 1, 5 do kept[i] = tonumber(kept[i]) or 0 end
  kept[6], kept[7], kept[8] = left(), call('ZCARD', RETRIES), call('HLEN', LETTERS)
  return kept
end
