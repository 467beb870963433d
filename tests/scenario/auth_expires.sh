# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A token that expires while hundreds of calls are in flight: one new token for all of them, no attempt is used up, no
# item is lost.  So it is with a token of an OAuth2 server, with one in a file, and in a run that is killed.
token_server

# requests_with TOKEN: so many calls carried it.
requests_with() {
	grep -c "^/items/.* Bearer $1 " requests.log || true
}
token_requests() {
	grep -c '^/token' requests.log
}
many() {
	sed -i 's/concurrency: 10/concurrency: 300/' pipeline.yaml
}

echo '100 300' >gather
oauth2_pipeline 1-1000 "$SECRET_KEY"
many
run
expect_code 0
expect_lines 1000 out.jsonl
expect_summary '.attempts == 1000 and .dead == 0'
expect test "$(token_requests)" = 2
expect test "$(requests_with token-1)" = 400
expect test "$(requests_with token-2)" = 900
rm gather

# A file that somebody rewrites.
token_server
echo canary-1 | tee token >accepted
echo canary-2 >next
echo '100 300' >gather
pipeline <<YAML
source: { range: 1-1000 }
steps:
  - http: { url: '\${env:SERVER}/items/\${.}', auth: { bearer: '\${file:token}' } }
flow: { concurrency: 300, retry: { attempts: 1 } }
sink: { jsonl: { path: out.jsonl, on_start: replace } }
dead_letter: { jsonl: { path: dead.jsonl, on_start: replace } }
YAML
rm -rf state requests.log
run
expect_code 0
expect_lines 1000 out.jsonl
expect_summary '.attempts == 1000 and .dead == 0'
expect test "$(requests_with canary-1)" = 400
expect test "$(requests_with canary-2)" = 900
rm gather next

# The same when the new token comes a while after the old one has expired.
echo canary-1 | tee token >accepted
echo 100 >revoke_after
sed -i 's/attempts: 1 }/&, breaker: { open: 200ms..400ms }/' pipeline.yaml
rm -rf state requests.log
start_run
wait_until 20 grep -q '^revoked' accepted
wait_until 20 status_says '.pid != null and .refused > 0'
echo canary-3 | tee token.new >accepted
mv token.new token
finish
expect_code 0
expect_lines 1000 out.jsonl
expect_summary '.attempts == 1000 and .dead == 0'

# Killed when a token has expired, and resumed: with a refresh token that is replaced each time, and lies in a file.
mkdir secrets
echo refresh-0 >secrets/refresh
echo rotate >mode
echo 100 >revoke_after
oauth2_pipeline 1-1000 "$SECRET_KEY, grant: refresh_token, refresh_token: '\${file:secrets/refresh}'"
sed -i 's/concurrency: 10/&, rate: 500\/s/' pipeline.yaml
start_run
wait_until 20 grep -q 'Bearer token-2 ' requests.log
kill_run
echo 100 >revoke_after
run
expect_code 0
expect_lines 1000 out.jsonl
expect_summary '.dead == 0'
expect grep -qx "refresh-$(token_requests)" secrets/refresh

# One that cannot be kept ends the run, since the next one would have none.
rm -rf state
mkdir secrets/refresh.new
run --quiet
expect_code 6
expect_err 'stopped: auth: cannot write the new refresh token to .*secrets/refresh: Is a directory; make it writable'
rmdir secrets/refresh.new

! grep -rqE 's3cr|canary|token-[0-9]|refresh-[0-9]' state dead.jsonl summary.json stdout stderr ||
	fail "a secret is shown"
