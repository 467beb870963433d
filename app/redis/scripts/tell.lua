#!lua flags=allow-oom
-- What is told to all workers.  ARGV: run, settings ('': stay as they are), why those that are there now shall stop ('':
-- they need not).
if call('HGET', RUN, 'run') ~= ARGV[1] then return {'RESET'} end
if ARGV[2] ~= '' then
  call('HSET', RUN, 'settings', ARGV[2])
  call('HINCRBY', RUN, 'version', 1)
end
if ARGV[3] ~= '' then call('HSET', RUN, 'stop', ARGV[3], 'stops', ticket()) end
return {'OK'}
