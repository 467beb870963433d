# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What a run did is there after kill -9 and after its end, and the time in which nothing ran shows as a gap.
mock --latency 20ms
pipeline <<YAML
source: { range: 1-100000 }
flow: { concurrency: 10 }
steps: [ http: { url: 'http://127.0.0.1:$mock_port/\${.}' } ]
sink: { jsonl: { path: out.jsonl } }
YAML
seconds_of() {
	"$WEIR" history --json --step 1s state >"$1" 2>said || return 1
	jq -e ".rows | length >= $2" "$1" >/dev/null
}
start_run
wait_until 20 seconds_of killed 2
kill_run
sleep 4
start_run
wait_until 20 seconds_of resumed 4
url=$(status_of .url)
observed '/api/v1/history?step=1s' >api
expect jq -e '[.rows[][0]] as $at | any(range(1; $at | length); $at[.] - $at[. - 1] > 3)' api
expect jq -e '.columns[:4] == ["at", "looks", "read", "succeeded"] and all(.rows[]; length == 27)' api
expect jq -e '.step == 60 and (.rows | length) > 0' <(observed /api/v1/history)
expect test "$(curl -s -o /dev/null -w '%{http_code}' "$url/api/v1/history?step=2s")" = 400
kill -INT "$started_pid"
finish
weir history --step 1s state
expect_code 0
expect_out '^  1s  .*rate .*ok .*failed .*mostly$'
expect_out '^  \(no run for [0-9]+s\)$'
expect_out '^  [0-9:]{8} +[0-9,.]+/s +[0-9,]+ +0 +0 +[0-9]+ +[0-9.]+ ms  upstream$'
expect test "$(awk 'length > 80' stdout | wc -l)" = 0

# All that was done in seconds that were looked at is counted, once.
"$WEIR" history --json --step 1s state >seconds
"$WEIR" history --json --step 1h state >hours
done_in() {
	jq '[.rows[][3]] | add' "$1"
}
expect test "$(done_in seconds)" = "$(done_in hours)"
expect test "$(done_in hours)" -le "$(wc -l <out.jsonl)"
"$WEIR" state rm --discard state
expect test ! -e state/history
