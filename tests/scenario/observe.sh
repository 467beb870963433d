# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The endpoint of a run: metrics, JSON, events, who may read it, a port that is taken, and its end.
mock --latency 20ms
seq 4000 | jq -c '{order_id: ., code: (if . % 10 == 0 then "422" else "200" end)}' >orders.jsonl
# A failure that quotes its item: the text is a payload.
cat >pipeline.yaml <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.order_id}', expect: json, into: .answer }
  - jq: 'if .code == "200" then {id: .order_id} else error("canary \(.code)") end'
sink: { sqlite: { path: out.db, table: orders, key: id, columns: [id] } }
flow: { concurrency: 4 }
stop_when: { dead: 0 }
YAML

answer_has() { # PATH REGEX [HEADER ...]
	observed "$1" "${@:3}" | grep -qE "$2"
}

start_run
wait_until 10 status_says '.dead > 0 and .succeeded > 10'
expect observed /healthz
expect observed /readyz
wait_until 10 answer_has /metrics '^weir_items_dead [1-9]'
for line in '^weir_items_succeeded_total [1-9]' '^weir_build_info\{version="' '^weir_attempt_duration_seconds_count [1-9]' \
	'^weir_upstream_calls_total\{upstream="http://127.0.0.1:[0-9]+",outcome="good"\} [1-9]' \
	'^weir_http_client_request_duration_seconds_bucket\{upstream="http://127.0.0.1:[0-9]+",method="GET",status="200",le="10.0"\} [1-9]' \
	'^weir_source_position [1-9]' '^weir_sink_batch_items_count [1-9]' '^weir_broker_round_trip_duration_seconds_count [1-9]' \
	'^weir_dead_letters_by_group_total\{group="[0-9a-f]{8}"\} [1-9]' '^weir_bottleneck_seconds_total\{by="concurrency limit"\} [1-9]'; do
	wait_until 10 answer_has /metrics "$line"
done
observed /metrics >metrics
! grep -q canary metrics || fail "a metric holds a part of an item"
observed /metrics 'Accept: application/openmetrics-text' >open
expect test "$(tail -n 1 open)" = '# EOF'
observed /api/v1/status >status.json
expect_json status.json '.event == "status" and .succeeded > 0 and .failures[0].group and (.failures[0].example | not)'
! grep -q canary status.json || fail "the state holds a part of an item"
! observed /metrics 'Origin: http://evil.example' || fail "another origin may read"
"$WEIR" status state >status.out
expect grep -q "http://127.0.0.1:$(observe_port)" status.out

# Another run with the same port takes a free one, says so, and works.
port=$(observe_port)
cat >second.yaml <<YAML
source: { range: 1-3 }
steps: [jq: '{id: .}']
sink: { jsonl: { path: second.out, on_start: replace } }
observe: { listen: '127.0.0.1:$port' }
YAML
CODE=0
"$WEIR" run second.yaml --state second --progress plain >second.log 2>&1 || CODE=$?
expect_code 0
expect grep -q "127.0.0.1:$port is taken: metrics are at http://127.0.0.1:" second.log
expect_lines 3 second.out

# Streams and scrapes while the run is killed, and while it ends.
exec 8<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n' >&8
read -r -t 10 -u 8 line
while [[ $line != data:* ]]; do read -r -t 10 -u 8 line || fail "no event"; done
printf '%s' "${line#data: }" >event.json
expect_json event.json '.event == "status"'
kill_run
while read -r -t 10 -u 8 line; do :; done
exec 8<&-
printf 'observe: { token: s3cret }\n' >>pipeline.yaml
start_run
wait_until 20 status_says '.dead > 0 and .resumed'
! observed /metrics || fail "no token is asked for"
expect observed /healthz
wait_until 10 answer_has /api/v1/status canary 'Authorization: Bearer s3cret'
kill -TERM "$started_pid"
while observed /metrics 'Authorization: Bearer s3cret' >/dev/null 2>&1; do :; done
finish

# What check says; and off.
weir check --explain second.yaml
expect_out "listen: \"127.0.0.1:$port\""
sed -i 's/^observe: .*/observe: off/' second.yaml
weir run second.yaml --state third
! grep -q metrics: stderr || fail "an endpoint that is off was started"
sed -i 's/^observe: .*/observe: { listen: somewhere }/' second.yaml
weir check second.yaml
expect_refused second.yaml:4:20 'observe.listen is "somewhere", expected an address and a port'
