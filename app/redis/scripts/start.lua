#!lua flags=allow-oom
-- Begins a run, or joins it.  ARGV: the run that the caller knows of ('': none), its worker, the run that is to be,
-- 'submit' or 'work', format, plan and file, source ('': it stays as it is; else '=' and what it is), record of the
-- worker, a worker that is known to be gone ('': none), the plan that the caller knows of, why those that work by another
-- plan shall stop ('': the plan stays as it is).
-- Answers the worker's name, the cursor, whether it is sealed, the plan; CHANGED: the plan is another one, and why that is.
local was, worker, run, role, format, plan, file, source, record, gone, known, stop = unpack(ARGV)
local have = call('HGET', RUN, 'run') or ''
if have ~= was and have ~= run then return {'MOVED', have} end
local has_format = call('HGET', RUN, 'format')
if have ~= '' and has_format ~= format then return {'FORMAT', has_format} end
local has_plan = have == run and call('HGET', RUN, 'plan')
if has_plan and has_plan ~= known and has_plan ~= plan then return {'CHANGED', call('HGET', RUN, 'stop') or ''} end
if gone ~= '' then take_out(gone) end
local producer = call('HGET', RUN, 'producer')
if role == 'submit' and have == run and producer and is_alive(producer) then return {'BUSY', producer} end
if have ~= run then
  clear()
  call('HSET', RUN, 'format', format, 'run', run, 'cursor', '', 'source', '', 'numbers', 0,
    'produced', 0, 'succeeded', 0, 'dropped', 0, 'dead', 0, 'sealed', 0, 'plan', plan, 'file', file)
elseif stop ~= '' and has_plan ~= plan then
  call('HSET', RUN, 'plan', plan, 'file', file, 'stop', stop, 'stops', ticket())
end
make_groups()
if source ~= '' then call('HSET', RUN, 'source', string.sub(source, 2)) end
-- With a ticket in it a name never comes back, not even by a copy of this call that comes late.
worker = string.format('%s.%.0f', worker, ticket())
call('HSET', ALIVE, worker, 0)
call('HSET', WHO, worker, string.format('%.0f %s', now(), record))
if role == 'submit' then call('HSET', RUN, 'producer', worker) end
return {'OK', worker, call('HGET', RUN, 'cursor'), call('HGET', RUN, 'sealed'), call('HGET', RUN, 'plan')}
