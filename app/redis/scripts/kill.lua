#!lua flags=allow-oom
-- Takes a worker out whose number is still this one; or the caller itself, which leaves.  ARGV: run, worker, the one to
-- be taken out, its number.  Answers whether it was.
local refusal = refuse()
if refusal then return refusal end
local victim = ARGV[3]
if victim ~= ARGV[2] and call('HGET', ALIVE, victim) ~= ARGV[4] then return {'OK', 0} end
take_out(victim)
return {'OK', 1}
