# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A token in a file that somebody else renews: after an answer 401 it is read again, once for all, and the items that
# were refused are attempted again and use up no attempt.  The token is shown nowhere.
token_server

# pipeline_of RANGE PATH: a single attempt is all that an item has.
pipeline_of() {
	pipeline <<YAML
source: { range: $1 }
steps:
  - http: { url: '\${env:SERVER}/$2/\${.}', auth: { bearer: '\${file:token}' } }
flow: { concurrency: 10, retry: { attempts: 1 } }
sink: { jsonl: { path: out.jsonl, on_start: replace } }
dead_letter: { jsonl: { path: dead.jsonl, on_start: replace } }
YAML
}

echo canary-1 >token
echo canary-1 >accepted
pipeline_of 1-300 items
echo 50 >revoke_after
echo canary-2 >next
run
expect_code 0
expect_lines 300 out.jsonl
expect_summary '.attempts == 300 and .dead == 0'
expect grep -q 'Bearer canary-2' requests.log

# While the file has no other token, 401 is final as it is without one; a token that the server sends back is hidden.
rm -rf state
pipeline_of 1-3 denied
run
expect_code 3
expect_dead 3 '^status: 401$'
expect_json dead.jsonl 'all(.evidence.error == "the token is not valid: Bearer ***")'
! grep -rq 'canary' state dead.jsonl summary.json stdout stderr || fail "the token is shown"

# An item that is refused with the new token, too, ends.
rm -rf state requests.log
pipeline_of 1-1 denied
(
	wait_until 10 grep -q denied requests.log
	echo canary-3 >token
) &
run
wait $!
expect_code 3
expect test "$(wc -l <requests.log)" -le 2
