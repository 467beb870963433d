# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# /readyz says why a run is not ready: its broker is full, or its loop stands still; and all answer within 100 ms then.
mock --latency 10s
cat >pipeline.yaml <<'YAML'
source: { range: 1-100000 }
steps: [ { http: { url: '${env:MOCK_URL}/orders/${.}', timeout: 30s } } ]
sink: { jsonl: { path: out.jsonl } }
broker: { memory: {} }
flow: { concurrency: 2 }
shutdown: { drain: 0s }
observe: { ready: { depth: 70%, put_wait: 1h } }
YAML

is_not_ready() { # WHY
	! observed /readyz >why && grep -q "$1" why && grep -q ' 503 ' observed
}

start_run
wait_until 20 status_says '.filled > 0.7'
wait_until 10 is_not_ready '^the broker is fuller than observe.ready.depth'
kill -TERM "$started_pid"
finish
sed -i 's/ready: .*/ready: { put_wait: 10ms } }/' pipeline.yaml
rm -rf state

start python3 "$TREE/scripts/hold.py" "$WEIR" "${RUN[@]}"
holder=$started_pid
wait_until 20 is_not_ready '^the source waits for room in the broker for longer than observe.ready.put_wait'
port=$(observe_port)
observe_port() { echo "$port"; } # a loop that is held does not answer `weir status`
kill -USR1 "$holder"
wait_until 10 test -e held
wait_until 20 is_not_ready '^the loop has stalled for [0-9.]* s'
observed /metrics >metrics
expect grep -q '^weir_items_in_flight 2' metrics
for path in /metrics /api/v1/status /api/v1/history /healthz /readyz; do
	took=$(for _ in 1 2 3; do curl -s -o /dev/null -w '%{time_total}\n' "http://127.0.0.1:$port$path"; done | sort -g | head -n 1)
	expect awk "BEGIN { exit !($took < 0.1) }"
done
kill -TERM "$holder"
wait "$holder" || true
