#!lua flags=allow-oom
-- Forgets a run; who is at it hears RESET.  ARGV: the run.
local have = call('HGET', RUN, 'run') or ''
if have ~= ARGV[1] then return {'MOVED', have} end
clear()
return {'OK'}
