# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Receivers that are gone, silent, full or talk nonsense: the run does its work, and counts what was dropped.
start_server otlp_receiver
mock
orders 300
cat >pipeline.yaml <<'YAML'
source: { jsonl: orders.jsonl }
steps: [ { http: { url: '${env:MOCK_URL}/echo', expect: json } } ]
sink: { jsonl: { path: out.jsonl, on_start: replace } }
observe: { otlp: { url: '${env:TARGET}', traces: 100%, metrics: 0, compression: none } }
YAML

run_with() { # MODE TARGET
	echo "$1" >mode
	rm -rf state
	: >requests.log
	TARGET=$2 run
	expect_code 0
	expect_lines 300 out.jsonl
	expect_summary '.succeeded == 300'
}

lost() { # REASON COUNT: what the run has said at its end
	expect_err "OpenTelemetry: $2 spans and points were dropped, most of them: $1\""
}

run_with ok "$SERVER"
expect_lines 1800 spans.jsonl # item, send, wait, attempt, request, write
# An upstream is told the span of its request.
jq -r .headers.traceparent out.jsonl | cut -d - -f 2,3 | sort >told
jq -r 'select(.name == "GET") | "\(.traceId)-\(.spanId)"' spans.jsonl | sort >sent
expect cmp told sent
sed -i "s,/echo',/echo'\, headers: { traceparent: mine },; s/traces: 100%/traces: 0/" pipeline.yaml
run_with ok "$SERVER"
expect_lines 1800 spans.jsonl
expect test "$(jq -r .headers.traceparent out.jsonl | sort -u)" = mine
sed -i 's/traces: 0/traces: 100%/' pipeline.yaml
run_with partial "$SERVER"
lost partial '[1-9]'
run_with 400 "$SERVER"
lost refused 1,800
run_with '429 0' "$SERVER"
expect test "$(grep -c ok requests.log)" -ge 1
run_with nonsense "$SERVER"
! grep -q 'were dropped' stderr || fail "what was answered with 200 counts as dropped"
run_with close "$SERVER"
lost 'end of run' 1,800
run_with ok http://127.0.0.1:1
lost 'end of run' 1,800
run_with ok 'http://127.0.0.1:1/?no'
expect_err 'no traces: observe.otlp.url: the URL has a query'
began=$SECONDS
run_with silent "$SERVER"
lost 'end of run' 1,800
[ $((SECONDS - began)) -lt 15 ] || fail "the end of the run waited for its receiver"
[ ! -s wrong.log ] || fail "the receiver found: $(head -n 3 wrong.log)"
