#!lua flags=allow-oom
-- Nothing more will be added.  ARGV: run, worker, cursor.  Answers whether all is over.
local refusal = refuse()
if refusal then return refusal end
if call('HGET', RUN, 'producer') ~= ARGV[2] then return {'FENCED'} end
local cursor = call('HGET', RUN, 'cursor')
if cursor ~= ARGV[3] then return {'MOVED', cursor} end
call('HSET', RUN, 'sealed', 1)
return {'OK', is_over()}
