# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Two hosts in one list: one that does not answer for a while does not hold up the other.  A label makes them one.
mock --latency 5ms
fast=$MOCK_URL
"$WEIR" mock --listen 127.0.0.2:0 --port-file slow.port --latency 20ms --workers 2 >>mock.log 2>&1 &
slow_pid=$!
pids+=("$slow_pid")
wait_until 5 test -s slow.port
slow=http://127.0.0.2:$(cat slow.port)
for i in $(seq 1 400); do
	echo "$fast/orders/$i"
	[ $((i % 10)) != 0 ] || echo "$slow/orders/$i"
done >urls.txt
pipeline <<'YAML'
source: { lines: { path: urls.txt } }
steps:
  - http: { url: '${.}' }
sink: { jsonl: { path: out.jsonl } }
YAML
kill -STOP "$slow_pid"
start_run --allow-private
wait_until 20 status_says '.succeeded == 400 and .in_flight > 0'
expect status_says '.flow.upstreams == 2'
kill -CONT "$slow_pid"
finish
expect_code 0
expect_lines 440 out.jsonl
expect_json state/upstreams.json '.upstreams | length == 2'

sed -i "s/}' }/}', label: both }/" pipeline.yaml
rm -rf state out.jsonl
run --allow-private
expect_code 0
expect_lines 440 out.jsonl
expect_json state/upstreams.json '.upstreams | keys == ["both"]'
