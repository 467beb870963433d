# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A run that starts while `weir dead` or `weir state` has the folder for a moment waits for it; for another run it does
# not wait.
orders 5
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps: [ { jq: . } ]
sink: { jsonl: { path: out.jsonl } }
YAML
run
expect_code 0

# As a verb has it, and as a run has it: held_by WORDS SECONDS.
held_by() {
	flock state/lock sh -c "echo '$1' >state/lock; touch held; sleep $2" &
	pids+=("$!")
	wait_until 5 test -e held
	rm held
}
held_by '4711 short' 0.4
run
expect_code 0
expect_summary '.was_done'
wait "${pids[-1]}"

held_by 4711 4
run
expect_code 75
expect_err 'in use by another weir \(pid 4711\)'
kill -0 "${pids[-1]}" || fail "it has waited for a run"

# In earnest: verbs all the time, and runs that start among them.
wait "${pids[-1]}"
touch going
while [ -e going ]; do "$WEIR" state verify state >/dev/null 2>>verify.err || true; done &
pids+=("$!")
for _ in 1 2 3 4; do
	run
	expect_code 0
done
rm going
wait "${pids[-1]}"
