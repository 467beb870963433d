#!lua flags=no-writes
-- What is known of the run, for who only looks.  No ARGV.  Answers its hash, and the accounts; or NONE.
if not call('HGET', RUN, 'run') then return {'NONE'} end
return {'OK', call('HGETALL', RUN), accounts()}
