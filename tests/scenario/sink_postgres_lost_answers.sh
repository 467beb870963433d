# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A proxy cuts the connection when the server has committed a batch and its answer is on the way: weir cannot know whether
# the rows are there, sends them again, and each is there once.  The last row of the source is bad, so savepoints and
# COMMIT are cut, too.
N=1200
mock
start_postgres
orders $N
"$TREE/tests/support/cutting_proxy" "$PG_URL" proxy 7 &
pids+=($!)
wait_until 10 test -s proxy/url

for table in 'plain' 'keyed, key: id'; do
	postgres sql "CREATE TABLE ${table%%,*} (id bigint $([ "$table" = plain ] || echo PRIMARY KEY), total numeric CHECK (id <> $N))"
	pipeline_orders 'flow: { concurrency: 20 }'
	sed -i "s|^sink:.*|sink: { postgres: { url: '$(cat proxy/url)', table: $table }, batch: { items: 40, period: 5ms } }|" \
		pipeline.yaml
	rm -rf state dead.jsonl
	before=$(cat proxy/cuts)
	run
	expect_code 3
	expect_summary ".succeeded == $((N - 1)) and .dead == 1"
	expect_dead 1 '\(23514\)'
	expect_pg "SELECT count(*), count(DISTINCT id), max(id) FROM ${table%%,*}" "$((N - 1))|$((N - 1))|$((N - 1))"
	[ "$(cat proxy/cuts)" -gt "$((before + 3))" ] || fail "the proxy has cut hardly anything: $(cat proxy/cuts)"
done
