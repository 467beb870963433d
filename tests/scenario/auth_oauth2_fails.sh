# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# While the OAuth2 server is down or silent, items wait.  When it refuses the client the run ends with the reason, at its
# beginning immediately, later as stop_when.denied says.  Secrets are shown nowhere.
token_server

# The server is down for a while: nothing is lost, nothing is counted, and the reason is said.
echo '503' >mode
oauth2_pipeline 1-20 "$SECRET_KEY"
start_run
wait_until 10 grep -aq 'auth: the token server 127.0.0.1 answered 503; items wait, next attempt' stderr
status_says '.succeeded == 0 and .dead == 0' || fail "an item has ended"
echo 'ok' >mode
finish
expect_code 0
expect_summary '.attempts == 20 and .dead == 0'

# So it is if it wants to be asked later, fails, or is not there at all.
for trouble in '429 1' 500 down; do
	echo "$trouble" >mode
	oauth2_pipeline 1-20 "$SECRET_KEY"
	[ "$trouble" != down ] || sed -i "s,'[^']*/token','$(refused_url)/token'," pipeline.yaml
	case $trouble in
	429*) why='answered 429; to be asked again in 1 s' ;;
	500) why='answered 500' ;;
	down) why='fails: connect: refused' ;;
	esac
	start_run
	wait_until 10 grep -aq "auth: the token server 127.0.0.1 $why; items wait, next attempt" stderr
	if [ "$trouble" = down ]; then
		kill -TERM "$started_pid"
		finish
		expect_code 5
		expect_summary '.unfinished == 20 and .attempts == 0'
		continue
	fi
	echo 'ok' >mode
	finish
	expect_code 0
	expect_summary '.attempts == 20 and .dead == 0'
done

# The same while it says nothing, for longer than an attempt may take.
echo silent >mode
oauth2_pipeline 1-20 "$SECRET_KEY"
sed -i '/^flow:/s/}$/, timeout: { attempt: 200ms } }/; s/^      auth:/      timeout: 500ms\n&/' pipeline.yaml
start_run
wait_until 10 grep -aq 'auth: no token in time (flow.timeout.attempt)' stderr
echo 'ok' >mode
finish
expect_code 0
expect_summary '.attempts == 20 and .dead == 0'

# Refused: the run ends immediately, with its items unfinished, and resumes.
for mode in invalid_client html 404; do
	echo "$mode" >mode
	oauth2_pipeline 1-100 "$SECRET_KEY"
	run --quiet
	expect_code 6
	expect_summary '.unfinished == 100 and .attempts == 0'
	case $mode in
	invalid_client) why='refused: invalid_client; check auth.oauth2.client_id and client_secret' ;;
	html) why='answered 200 and no JSON; check auth.oauth2.token_url' ;;
	404) why='answered 404; check auth.oauth2.token_url' ;;
	esac
	expect_err "^weir: pipeline.yaml: stopped: auth: the token server 127.0.0.1 $why"
done
echo ok >mode
run
expect_code 0
expect_lines 100 out.jsonl

# Refused in the middle of a run: the items wait, which is said, until stop_when.denied.
echo 'ok 1' >mode
oauth2_pipeline 1-1000 "$SECRET_KEY" 'stop_when: { denied: 500ms }'
sed -i 's/concurrency: 10/concurrency: 10, rate: 100\/s/' pipeline.yaml
start_run
wait_until 10 grep -q . out.jsonl
echo invalid_client >mode
finish
expect_code 6
expect_summary '.dead == 0 and .succeeded > 0 and .unfinished > 100'
expect grep -aq 'refused: invalid_client; check auth.oauth2.client_id and client_secret (no such client); items wait, next' stderr
expect grep -aq '(no such client) (stop_when: denied)' stderr

# A server that refuses each new token gets no flood of requests for more: what is denied is said, and the items wait.
echo ok >mode
oauth2_pipeline 1-200 "$SECRET_KEY" 'stop_when: { denied: 500ms }'
sed -i 's,/items/,/denied/,' pipeline.yaml
run
expect_code 6
expect_summary '.succeeded == 0 and .unfinished > 100'
expect_json dead.jsonl 'all(.[]; .reason == "status: 401")'
expect test "$(grep -c '^/token' requests.log)" -le 5

! grep -rqE 's3cr|token-[0-9]|refresh-[0-9]' state dead.jsonl summary.json stdout stderr || fail "a secret is shown"
