# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What scripts/bench-pipeline and scripts/compare measure: each figure, run once.  To be sourced after lib.sh.
#
#   run_figure FIGURE FOLDER SIZE   runs the figure once with the weir that was built in FOLDER, and prints what it
#                                   measured, "measure value" a line; a figure of several starts prints a line for each
#   usual_size FIGURE               the size of bench-pipeline
#   not_here FIGURE                 why the figure cannot be measured on this machine, or nothing
#   in_group COMMAND ...            runs it in a process group of its own and ends all that is left of the group
#   end_groups                      ends all groups: for the EXIT trap
#
# The caller has set $work, a folder of its own.  $upstream is the weir that plays the upstream (default: the one that is
# measured), $bench_start the program bench-start, $stored_items the number of items in the state of start-million.
# Each run has a folder of its own, and an upstream on an address of its own: ports that the run before left in
# TIME_WAIT would slow it down.

upstream='' bench_start='' stored_items=1000000
runs=0 subnet=$((SRANDOM % 200 + 1))

# In a terminal Ctrl-C reaches the script alone, which ends its groups.  Never call it where bash ignores `set -e`
# (`if`, `||`): the command would not stop at its first error.
in_group() {
	local code=0 group
	set -m
	"$@" </dev/null &
	group=$!
	set +m
	wait "$group" || code=$?
	kill -KILL -- "-$group" 2>/dev/null || true
	return $code
}

end_groups() {
	local group
	exec 2>/dev/null # bash would report each that is killed
	for group in $(jobs -p); do kill -KILL -- "-$group" 2>/dev/null || true; done
	wait 2>/dev/null || true
}

usual_size() {
	case $1 in
	orders-* | postgres) echo 10000 ;;
	rate | durable | postgres-rate) echo 100000 ;;
	memory) echo 1000000 ;;
	long) echo 10000000 ;;
	start) echo 20 ;;
	start-million) echo 5 ;;
	observe) echo 2000000 ;;
	observe-http) echo 50000 ;;
	crowd) echo 10000 ;;
	stall) echo 5 ;;
	core:*) echo 1 ;;
	esac
}

not_here() {
	local needed
	case $1 in
	orders-*) needed=$((${1#orders-} + 200)) ;;
	crowd) needed=10300 ;;
	*) return ;;
	esac
	[ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge "$needed" ] ||
		echo "only $(ulimit -Hn) descriptors are allowed, it needs $needed"
}

run_figure() {
	runs=$((runs + 1))
	in_group measure "$@"
}

# In a process of its own.
measure() {
	local figure=$1 folder=$2 size=$3
	weir=$folder/weir
	mkdir "${work:?}/run$runs"
	cd "$work/run$runs" || exit
	case $figure in
	orders-*) measure_orders "${figure#orders-}" ;;
	rate) measure_rate ;;
	durable) measure_durable ;;
	postgres) measure_postgres ;;
	postgres-rate) measure_postgres_rate ;;
	memory) measure_memory ;;
	long) measure_long ;;
	start) measure_start ;;
	start-million) measure_start_million ;;
	observe | observe-http) "measure_${figure/-/_}" ;;
	crowd) measure_crowd ;;
	stall) measure_stall ;;
	core:*) measure_core "$folder/bench/bench-core" "${figure#core:}" ;;
	esac
	cd "$work" || exit
	rm -rf "$work/run$runs"
}

# ---- an upstream and a run

mock='' mocks=0 observed='' observed_url=''

stop_mock() {
	[ -n "$mock" ] || return 0
	kill "$mock"
	wait "$mock" 2>/dev/null || true
	mock=
}

# The next address of this run, in $host.
next_host() {
	mocks=$((mocks + 1))
	host=127.$((subnet + runs / 250 % 50)).$((runs % 250 + 1)).$mocks
}

start_mock() {
	local host
	stop_mock
	next_host
	rm -f mock.port
	"${upstream:-$weir}" mock --listen "$host:0" --port-file mock.port "$@" >mock.log 2>&1 &
	mock=$!
	for _ in $(seq 200); do
		[ ! -s mock.port ] || break
		sleep 0.02
	done
	[ -s mock.port ] || die "weir mock did not start: $(cat mock.log)"
	export MOCK_URL
	MOCK_URL=http://$host:$(cat mock.port)
}

# Runs pipeline.yaml, which must bring $size items to their end; prints what it used.  Options are those of usage.py.
run_weir() {
	rm -rf state out.db* out.jsonl
	python3 "${root:?}/scripts/usage.py" "$@" "$weir" run pipeline.yaml --state state --summary summary.json --quiet \
		2>stderr || die "weir ended with $?: $(tail -n 3 stderr)"
	[ "$(jq .succeeded summary.json)" = "$size" ] || die "not all succeeded: $(jq -c . summary.json)"
	echo "rss_bytes $(jq .peak_rss_bytes summary.json)"
}

write_orders() {
	seq "$1" | sed 's/.*/{"order_id": &}/' >orders.jsonl
}

# orders.jsonl through http into out.db: orders_pipeline IN_FLIGHT COLUMNS [STEP]
orders_pipeline() {
	cat >pipeline.yaml <<YAML
source: { jsonl: { path: orders.jsonl } }
steps:
  - http: { url: '\${env:MOCK_URL}/orders/\${.order_id}', expect: json, timeout: 10s }
${3:-}
flow: { concurrency: $1 }
sink: { sqlite: { path: out.db, table: orders, key: id, columns: [$2] } }
YAML
}

# shellcheck disable=SC2016 # braces of jq
totals="  - jq: '{id, total: ([.items[] | .qty * .price] | add)}'"

# ---- the figures

measure_orders() {
	write_orders "$size"
	orders_pipeline "$1" id,total "$totals"
	start_mock --latency 200ms
	run_weir --memory state
	stop_mock
	[ "$(sqlite3 out.db 'SELECT count(*) FROM orders WHERE total IS NOT NULL')" = "$size" ] ||
		die "out.db has not $size rows"
}

measure_rate() {
	write_orders "$size"
	orders_pipeline 50 id
	start_mock --latency 0ms
	run_weir
	stop_mock
}

# The same items by the memory broker, then by the durable one.
measure_durable() {
	local broker
	write_orders "$size"
	for broker in memory sqlite; do
		orders_pipeline 50 id
		echo "broker: { $broker: {} }" >>pipeline.yaml
		start_mock --latency 0ms
		run_weir >used
		sed "s/^/${broker}_/" used
	done
	stop_mock
}

# weir bench orders OPTION ..., whose report is bench.json.
bench_orders_into_postgres() {
	"$weir" bench orders --only queue --jobs "$size" --json bench.json "$@" >/dev/null 2>stderr ||
		die "weir bench ended with $?: $(tail -n 3 stderr)"
	jq -e "all(.rows[]; .succeeded == $size)" bench.json >/dev/null ||
		die "not all succeeded: $(jq -c '[.rows[] | [.pattern, .succeeded]]' bench.json)"
}

measure_postgres() {
	bench_orders_into_postgres
	jq -r '.rows[] | "wall_s \(.took_s)", "pss_bytes \(.peak_bytes_above_idle)"' bench.json
}

measure_postgres_rate() {
	bench_orders_into_postgres --latency 0ms --only sqlite
	jq -r '"share \(.rows[0].per_sec / .rows[1].per_sec)"' bench.json
}

measure_memory() {
	cat >pipeline.yaml <<YAML
source: { range: 1-$size }
steps:
  - http: { url: '\${env:MOCK_URL}/orders/\${.}', expect: json, timeout: 10s }
flow: { concurrency: 50 }
sink: { jsonl: { path: out.jsonl } }
YAML
	start_mock --latency 0ms
	run_weir --memory state
	stop_mock
}

measure_long() {
	cat >pipeline.yaml <<YAML
source: { range: 1-$size }
sink: { jsonl: { path: out.jsonl } }
YAML
	run_weir --memory state
	[ "$(wc -l <out.jsonl)" = "$size" ] || die "out.jsonl has not $size lines"
}

# $size starts; with a folder, each with a copy of it as the state.
first_requests() {
	local took
	for _ in $(seq "$size"); do
		rm -rf state out.db*
		[ $# = 0 ] || cp -r "$1" state
		took=$("$bench_start" "$weir" run pipeline.yaml --state state --quiet </dev/null)
		echo "request_ms $took"
	done
}

measure_start() {
	write_orders 1000
	orders_pipeline 50 id,total "$totals"
	first_requests
}

# A figure of the run in ./state; before 0.2 the folder was an option.
stored_count() {
	{ "$weir" status --json state || "$weir" status --json --state state; } 2>/dev/null | jq ".$1"
}

# A million items came through a pipe, and none was settled when the run was killed.
store_items() {
	local pid
	start_mock --latency 60s
	write_orders "$stored_items"
	"$weir" run pipeline.yaml --state state --quiet >/dev/null 2>&1 < <(cat orders.jsonl) &
	pid=$!
	for _ in $(seq 600); do
		[ "$(stored_count read)" != "$stored_items" ] || break
		sleep 0.1
	done
	[ "$(stored_count unfinished)" = "$stored_items" ] ||
		die "$stored_items items are not there"
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || true
	stop_mock
	mv state "$1"
}

measure_start_million() {
	local stored
	stored=$work/stored$(tr / _ <<<"$weir")
	orders_pipeline 50 id,total "$totals"
	sed -i 's/^source:.*/source: { stdin: {} }/' pipeline.yaml
	echo 'stop_when: { dead: 0% }' >>pipeline.yaml
	[ -d "$stored" ] || store_items "$stored"
	first_requests "$stored"
}

# The pipeline of pipeline.yaml with all that can be observed of it, and with nothing, in turn; the one or the other
# first.  A mock takes the traces and metrics.  What is scraped of a run that shows nothing is the mock, so that the
# client, which has the same processors, is in both.
measure_observed() {
	local first=on second=off seen host scraped scraper
	[ $((runs % 2)) = 0 ] || first=off second=on
	cp pipeline.yaml plain.yaml
	for seen in $first $second; do
		cp plain.yaml pipeline.yaml
		next_host
		if [ "$seen" = off ]; then
			scraped=$MOCK_URL/metrics
			echo 'observe: off' >>pipeline.yaml
		else
			scraped=http://$host:9464/metrics
			echo "observe: { listen: '$host:9464', otlp: { url: '$MOCK_URL', traces: 1%, metrics: 1s } }" >>pipeline.yaml
		fi
		while sleep 1; do
			curl -s -m 1 -o /dev/null "$scraped" || true
		done &
		scraper=$!
		run_weir >used
		kill "$scraper"
		wait "$scraper" 2>/dev/null || true
		sed "s/^/${seen}_/" used
	done
}

measure_observe() {
	cat >pipeline.yaml <<YAML
source: { range: 1-$size }
sink: { jsonl: { path: out.jsonl } }
YAML
	start_mock
	measure_observed
	stop_mock
}

measure_observe_http() {
	write_orders "$size"
	orders_pipeline 50 id
	start_mock --latency 0ms
	measure_observed
	stop_mock
}

# A long run, by way of the words given, whose endpoint is $observed_url.
start_observed() {
	local host
	next_host
	observed_url=http://$host:9464
	cat >pipeline.yaml <<YAML
source: { range: 1-1000000000 }
sink: { jsonl: { path: out.jsonl } }
observe: { listen: '$host:9464' }
YAML
	"$@" "$weir" run pipeline.yaml --state state --quiet 2>stderr &
	observed=$!
	for _ in $(seq 200); do
		! curl -s -m 1 "$observed_url/api/v1/status" | grep -q '"succeeded":[1-9]' || break
		sleep 0.02
	done
}

stop_observed() {
	kill "$observed"
	wait "$observed" 2>/dev/null || true
}

# $size connections that say nothing, and 100 that read slowly (crowd.py).
measure_crowd() {
	start_mock
	start_observed
	python3 "$root/scripts/crowd.py" "$observed_url" "$MOCK_URL" "$size" $((size / 100)) "${crowd_seconds:-3}"
	stop_observed
	stop_mock
}

# The thread of the loop is held for $size seconds (hold.py), and the endpoint asked meanwhile.
measure_stall() {
	start_observed python3 "$root/scripts/hold.py"
	kill -USR1 "$observed"
	for _ in $(seq 200); do
		[ ! -e held ] || break
		sleep 0.02
	done
	[ -e held ] || die "the loop is not held: $(cat stderr)"
	python3 "$root/scripts/stalled.py" "$observed_url" "$size"
	stop_observed
}

# A case of the library, $size times, each in a process of its own: bench/core says what it measures.
measure_core() {
	local started=${EPOCHREALTIME/./}
	for _ in $(seq "$size"); do "$1" "$2"; done >cases
	awk '{ print $1, $2 }' cases
	awk -v us=$((${EPOCHREALTIME/./} - started)) 'BEGIN { printf "wall_s %.4f\n", us / 1e6 }'
}
