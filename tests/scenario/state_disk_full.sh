# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The disk with the state fills up: the run waits, says so, and goes on when there is room.
# (A small tmpfs in a mount namespace of its own.)
mock --latency 1ms
orders 20000
sed -i 's/}$/, "text": "'"$(head -c 400 /dev/zero | tr '\0' x)"'"}/' orders.jsonl
pipeline_orders
mkdir full
cat >inside.sh <<'SH'
mount -t tmpfs -o size=40m none full || exit 99
head -c 41500000 /dev/zero >full/ballast
"$WEIR" run pipeline.yaml --state full/state --summary summary.json >stdout 2>stderr </dev/null &
run=$!
for _ in $(seq 200); do
	"$WEIR" status --json full/state 2>/dev/null | jq -e .degraded >/dev/null && echo yes >degraded &&
		grep -q 'disk full: ' stderr && break
	sleep 0.05
done
rm full/ballast
wait "$run"
echo $? >code
"$WEIR" state verify full/state >verify
SH
expect unshare --map-root-user --mount bash inside.sh
CODE=$(cat code)
check_accounts
expect test -s degraded
expect_code 0
expect_rows 20000
expect grep -Eq 'succeeded +20,000$' verify
expect_oracle --key order_id=id
expect test "$(grep -c 'disk full: cannot write to full/state/state.db' stderr)" = 1
expect test "$(grep -c 'full/state/state.db can be written again' stderr)" = 1
