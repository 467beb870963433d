# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A rate that is set holds over restarts: what it has let through is on the disk before it does.  Three starts with a
# kill in between make no more calls than one run would; a stop keeps the exact place; the file does no harm when it is
# damaged, or when the clocks have jumped.
mock
orders 100
pipeline_orders 'flow: { rate: 5/10m, burst: 5, concurrency: 5 }'
# A call also waits for a rate while its use is being written, so what waits is not yet all that may be called.
calls_made() {
	test "$(mock_stat .requests)" = "$1"
}
waits='.flow.why == "rate limit (yours)" and .in_flight == 0'
for _ in 1 2 3; do
	start_run
	wait_until 20 status_says "$waits"
	wait_until 20 calls_made 5
	kill_run
	expect calls_made 5
done
expect_json state/upstreams.json '.version == 1 and (.upstreams | length) == 1 and (.boot | length) > 10'
expect test "$(stat -c %a state/upstreams.json)" = 600

# One that stops by itself has used what it has used, and no more.
mock_stop
mock
rm -rf state out.db
pipeline_orders 'flow: { rate: 10/10m, burst: 10, concurrency: 1 }'
orders 4
run
expect_code 0
orders 100
rm -rf state/state.db* out.db
stop_once "$waits and .succeeded == 6"
expect_code 5
expect_summary '.succeeded == 6'

# Nonsense, and clocks that have jumped: calls are held back for a burst's time at most.
for text in '{"version":1,' '{"version":1,"boot":"x","upstreams":{"k":{"limit":0,"per_sec":0,"min_latency_ms":0,"boot_s":1,"unix_s":-1}}}'; do
	rm -rf state/state.db* out.db
	printf '%s' "$text" >state/upstreams.json
	stop_once "$waits and .succeeded == 10"
	expect_err 'upstreams.json is damaged'
	expect_summary '.succeeded == 10'
done
rm -rf state/state.db* out.db
pipeline_orders 'flow: { rate: 10/10s, burst: 10, concurrency: 1 }'
printf '{"version":1,"boot":"other","upstreams":{"%s":{"limit":0,"per_sec":0,"min_latency_ms":0,"boot_s":1,"unix_s":9000000000}}}' \
	"$MOCK_URL" >state/upstreams.json
stop_once '.succeeded >= 2'
expect_summary '.succeeded <= .wall_s + 1'
