# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A token that a program prints: it runs once for all, again after an answer 401 and after ttl.  When it fails the reason
# is the first line of what it wrote to stderr.
token_server
mkdir bin
cat >bin/print-token <<'SH'
#!/bin/sh
echo . >>calls
[ "$1" = fail ] || echo "an update is available" >&2
case $1 in
next) n=$(wc -l <calls); echo "canary-$n"; echo "canary-$n" >accepted; echo "the second line";;
same) echo canary-0;;
sleep) sleep 60;;
fail) echo "ERROR: you are not logged in" >&2; echo "run login" >&2; exit 3;;
esac
SH
chmod +x bin/print-token
export PATH=$PWD/bin:$PATH

# pipeline_of RANGE EXEC [KEYS]
pipeline_of() {
	rm -rf state calls requests.log out.jsonl
	pipeline <<YAML
source: { range: $1 }
steps:
  - http: { url: '\${env:SERVER}/items/\${.}', auth: { exec: $2 } }
flow: { concurrency: 10, retry: { attempts: 1 }, breaker: { open: 200ms..400ms }${3:+, $3} }
sink: { jsonl: { path: out.jsonl, on_start: replace } }
dead_letter: { jsonl: { path: dead.jsonl, on_start: replace } }
YAML
}

# Once for ten at once; again when the token is refused.
echo 100 >revoke_after
pipeline_of 1-200 '[print-token, next]'
run
expect_code 0
expect_lines 200 out.jsonl
expect_summary '.attempts == 200 and .dead == 0'
expect test "$(wc -l <calls)" = 2
expect grep -q 'Bearer canary-1 ' requests.log
expect grep -q 'Bearer canary-2 ' requests.log

# Again after ttl.
pipeline_of 1-30 '[print-token, next], ttl: 1s' 'rate: 20/s, burst: 1'
run
expect_code 0
expect test "$(wc -l <calls)" -ge 2
expect test "$(wc -l <calls)" -le 4

# The same token as before is no new one: the answer 401 stands.
pipeline_of 1-3 '[print-token, same]'
run
expect_code 3
expect_dead 3 '^status: 401$'
expect test "$(wc -l <calls)" = 2

# What fails from the start ends the run.
pipeline_of 1-100 '[print-token, fail]'
run --quiet
expect_code 6
expect_summary '.unfinished == 100'
expect_err 'stopped: auth: print-token ended with exit code 3: ERROR: you are not logged in; check auth.exec; 100 unfinished'
expect test "$(wc -l <calls)" = 1
pipeline_of 1-100 '[print-token, silent]'
run --quiet
expect_code 6
expect_err 'stopped: auth: print-token printed no token; check auth.exec'
pipeline_of 1-100 '[no-such-program]'
run --quiet
expect_code 6
expect_err 'stopped: auth: cannot run no-such-program: not found; check auth.exec'

# One that hangs keeps no run from ending.
pipeline_of 1-100 '[print-token, sleep]'
sed -i '$ashutdown: { drain: 100ms }' pipeline.yaml
start_run
wait_until 10 test -s calls
kill -TERM "$started_pid"
finish
expect_code 5
expect_summary '.unfinished == 100'

! grep -rq 'canary' state dead.jsonl summary.json stdout stderr || fail "the token is shown"
