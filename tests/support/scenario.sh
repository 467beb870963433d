# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The words scenarios are written in.  A scenario is one file in tests/scenario: an upstream, a pipeline, what happens,
# and what must come of it.  tests/support/scenarios runs each in a folder of its own with a time limit; the first
# expectation that does not hold ends it.
#
#   mock [OPTION ...]           starts `weir mock` on a free port; $MOCK_URL is its address
#   mock_stop, mock_restart     with the same port and options
#   token_server                starts tests/support/token_server; $SERVER is its address, $SECRET_KEY the key of its client
#   file_server                 the same with tests/support/file_server, whose answers are files
#   oauth2_pipeline RANGE KEYS LINE ...
#                               writes a pipeline of its items, with tokens that it issues: KEYS are added to auth.oauth2,
#                               the lines to the end
#   start_postgres              starts a real PostgreSQL of its own; $PG_URL is its address
#   postgres VERB ...           tests/support/postgres: stop, kill, start, sql QUERY
#   start_redis [OPTION ...]    starts a real redis-server, which keeps nothing on disk unless told to; $REDIS_URL is its
#                               address.  redis WORD ... is redis-cli; redis_kill ends it as a crash would
#   redis_leave, redis_loads, redis_has_loaded
#                               ends it with a large dataset; starts it, so that it answers LOADING; until the last one.
#                               Needs start_redis --enable-debug-command yes --rdbcompression no
#   mock_get PATH, mock_stat EXPR [PATH]   an answer of the mock; what it has counted
#   fleet_orders LINE ...       the usual pipeline of orders with the broker redis, whose dead letters it keeps
#   fleet_work NAME [OPTION ...]   starts a worker of it, with its output in NAME.out; $work_pid.  work_ends PID CODE
#   fleet_of EXPR               what weir status --json says of it; fleet_says EXPR succeeds if that is true
#   pipeline <<'YAML'           writes pipeline.yaml
#   pipeline_orders LINE ...    writes the usual one: orders.jsonl -> http -> jq -> out.db, dead letters in dead.jsonl;
#                               the lines are added, HTTP adds keys to the http step
#   orders N                    writes orders.jsonl, {"order_id": 1} to N
#   run [OPTION ...]            weir run pipeline.yaml, to its end; state in state/, summary in summary.json
#   run_disturbed MODE [CRASH_NAME=VALUE ...]
#                               the same with a disk that fails: tests/crash/disk.h has the modes
#   weir WORD ...               any other call of weir, to its end
#   stop_once EXPR [OPTION ...] the same, with a SIGTERM as soon as status_says EXPR
#   start_run [OPTION ...]      run, in the background; kill_run kills it at once, as a crash would
#   status_of EXPR              what the run in state/ says of itself; status_says EXPR succeeds if that is true
#   observed PATH [HEADER ...]  what the endpoint of the run in state/ answers
#   start WORD ...              starts a command in the background; finish waits for it
#   wait_until SECONDS COMMAND  until the command succeeds
#
# After run, weir and finish: $CODE, and the files stdout and stderr.
#
#   expect_code 3               expect_out REGEX            expect_err REGEX
#   expect_rows N [DB TABLE]    expect_lines N FILE         expect_sql QUERY ANSWER
#   expect_pg QUERY ANSWER      likewise, of PostgreSQL; columns divided by |
#   expect_summary EXPR         expect_dead N REGEX         expect_json FILE EXPR
#   expect WORD ...             the command must succeed
#   expect_oracle OPTION ...    tests/support/oracle finds orders.jsonl, out.db, dead letters and summary.json agreed
#
# A run that wrote a summary must have accounts that match, whatever else is expected.

set -eu
WEIR=${WEIR:?the path of the weir to test}
# What `run` and the like do; programs read its progress.
RUN=(run pipeline.yaml --state state --summary summary.json --progress json)
TREE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export TREE
# The same wherever it runs.
unset LC_ALL LC_CTYPE NO_COLOR COLUMNS LINES
export LANG=C.UTF-8 SHELL=/bin/sh
CODE=
mock_pid='' work_pid='' mock_args=() mock_port=0
started_pid='' redis_pid=''
pids=()

fail() {
	local i
	printf 'FAILED: %s\n' "$*"
	for ((i = 1; i < ${#BASH_SOURCE[@]}; i++)); do
		case ${BASH_SOURCE[i]} in
		*/tests/scenario/*) printf '   at %s:%s\n' "${BASH_SOURCE[i]##*/}" "${BASH_LINENO[i - 1]}" ;;
		esac
	done
	for file in stdout stderr shown summary.json dead.jsonl mock.log postgres/log; do
		[ -s "$file" ] || continue
		printf -- '--- %s (%s bytes)\n' "$file" "$(stat -c %s "$file")"
		tail -c 1500 "$file" | tail -n 15 | cat -v
	done
	exit 1
}

# Ends what the scenario started, by pid.
clean_up() {
	local pid
	for pid in "${pids[@]}"; do
		kill -CONT "$pid" 2>/dev/null || true
		kill -KILL "$pid" 2>/dev/null || true
	done
}
trap clean_up EXIT
trap 'exit 1' TERM INT

wait_until() {
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || fail "waited in vain for: $*"
		sleep 0.02
	done
}

mock() {
	mock_args=("$@")
	mock_port=0
	mock_start
}

mock_start() {
	rm -f mock.port
	"$WEIR" mock --listen "127.0.0.1:$mock_port" --port-file mock.port "${mock_args[@]}" >>mock.log 2>&1 &
	mock_pid=$!
	pids+=("$mock_pid")
	wait_until 5 test -s mock.port
	mock_port=$(cat mock.port)
	MOCK_URL=http://127.0.0.1:$mock_port
	export MOCK_URL
}

mock_stop() {
	kill -KILL "$mock_pid"
	wait "$mock_pid" 2>/dev/null || true
}

mock_restart() {
	mock_stop
	mock_start
}

start_server() {
	rm -f "$1.port"
	"$TREE/tests/support/$1" &
	pids+=($!)
	wait_until 30 test -s "$1.port"
	SERVER=http://127.0.0.1:$(cat "$1.port")
	export SERVER
}

token_server() {
	start_server token_server
	export SECRET=s3cr/t SECRET_KEY="client_secret: '\${env:SECRET}'"
}

file_server() {
	start_server file_server
}

# A single attempt is all that an item has.
oauth2_pipeline() {
	rm -rf state requests.log out.jsonl
	pipeline <<YAML
source: { range: $1 }
steps:
  - http:
      url: '\${env:SERVER}/items/\${.}'
      auth: { oauth2: { token_url: '\${env:SERVER}/token', client_id: me, $2 } }
flow: { concurrency: 10, retry: { attempts: 1 }, breaker: { open: 200ms..400ms } }
sink: { jsonl: { path: out.jsonl, on_start: replace } }
dead_letter: { jsonl: { path: dead.jsonl, on_start: replace } }
YAML
	printf '%s\n' "${@:3}" >>pipeline.yaml
}

start_postgres() {
	"$TREE/tests/support/postgres" new postgres $$ || fail "there is no PostgreSQL"
	PG_URL=$(cat postgres/url)
	export PG_URL PGCONNECT_TIMEOUT=60 # a machine that runs tests is busy
}

postgres() {
	"$TREE/tests/support/postgres" "$1" postgres "${@:2}"
}

start_redis() {
	redis-server --port 0 --unixsocket "$PWD/redis.sock" --dir "$PWD" --save '' "$@" >redis.log </dev/null &
	redis_pid=$!
	pids+=("$redis_pid")
	wait_until 10 redis ping
	export REDIS_URL=redis+unix://$PWD/redis.sock
}

# Leaves a dataset that redis_loads is busy with until it is told otherwise, and ends.
redis_leave() {
	redis DEBUG POPULATE 1000 ballast 3000
	redis SAVE
	redis SHUTDOWN NOSAVE || true
}

redis_loads() {
	redis-server --port 0 --unixsocket "$PWD/redis.sock" --dir "$PWD" --save '' --key-load-delay 30000 \
		--loading-process-events-interval-bytes 1024 >redis.log </dev/null &
	pids+=("$!")
	wait_until 10 redis_answers
}

redis_answers() {
	[ -S redis.sock ] && redis ping 2>&1 | grep -q 'LOADING\|PONG'
}

redis_has_loaded() {
	redis CONFIG SET key-load-delay 0
	wait_until 10 redis ping
}

redis() {
	redis-cli -e -s redis.sock "$@"
}

redis_kill() {
	kill -KILL "$redis_pid"
	wait "$redis_pid" 2>/dev/null || true
}

# The whole answer of the mock to a GET, status line and headers first.
mock_get() {
	exec 9<>"/dev/tcp/127.0.0.1/$mock_port"
	printf 'GET %s HTTP/1.0\r\nHost: mock\r\nConnection: close\r\n\r\n' "$1" >&9
	tr -d '\r' <&9
	exec 9<&-
}

# What the mock has counted: mock_stat EXPR [PATH] prints the jq expression over its /stats, or another path.
mock_stat() {
	mock_get "${2:-/stats}" | sed '1,/^$/d' | jq -r "$1"
}

# A loopback address on which nobody listens.
refused_url() {
	echo http://127.0.0.1:1
}

pipeline() {
	cat >pipeline.yaml
}

pipeline_orders() {
	cat >pipeline.yaml <<YAML
source: { jsonl: { path: orders.jsonl } }
steps:
  - http: { url: '\${env:MOCK_URL}/orders/\${.order_id}', expect: json${HTTP:+, $HTTP} }
  - jq: '{id, total: ([.items[] | .qty * .price] | add)}'
sink: { sqlite: { path: out.db, table: orders, key: id, columns: [id, total] } }
dead_letter: { jsonl: { path: dead.jsonl, on_start: replace } }
YAML
	printf '%s\n' "$@" >>pipeline.yaml
}

fleet_orders() {
	cat >pipeline.yaml <<'YAML'
source: { jsonl: { path: orders.jsonl } }
broker: { redis: { url: '${env:REDIS_URL}' } }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.order_id}', expect: json }
  - jq: '{id, total: ([.items[] | .qty * .price] | add)}'
sink: { sqlite: { path: out.db, table: orders, key: id, columns: [id, total] } }
YAML
	printf '%s\n' "$@" >>pipeline.yaml
}

fleet_work() {
	local name=$1
	shift
	env --default-signal=INT,QUIT "$WEIR" work pipeline.yaml --progress json --summary "$name.json" "$@" \
		>"$name.out" 2>&1 </dev/null &
	work_pid=$!
	pids+=("$work_pid")
}

work_ends() {
	local code=0
	wait "$1" || code=$?
	[ "$code" = "$2" ] || fail "a worker ended with $code, expected $2"
}

fleet_of() {
	"$WEIR" status --json pipeline.yaml 2>/dev/null | jq -r "$1"
}

fleet_says() {
	[ "$(fleet_of "$1")" = true ]
}

orders() {
	seq "$1" | sed 's/.*/{"order_id": &}/' >orders.jsonl
}

weir() {
	CODE=0
	"$WEIR" "$@" >stdout 2>stderr </dev/null || CODE=$?
	no_crash
}

run() {
	rm -f summary.json
	weir "${RUN[@]}" "$@"
	check_accounts
}

run_disturbed() {
	local mode=$1
	shift
	rm -f summary.json
	start env LD_PRELOAD="${WEIR%/*}/tests/crash/weir-crash.so" CRASH_FOLDER="$(pwd -P)" CRASH_COMM=weir \
		CRASH_MODE="$mode" CRASH_LOG=disk.log "$@" \
		"$WEIR" "${RUN[@]}"
	finish
}

start() {
	# A shell starts its background commands deaf to SIGINT.
	env --default-signal=INT,QUIT "$@" >stdout 2>stderr </dev/null &
	started_pid=$!
	pids+=("$started_pid")
}

start_run() {
	rm -f summary.json
	start "$WEIR" "${RUN[@]}" "$@"
}

kill_run() {
	kill -KILL "$started_pid"
	wait "$started_pid" 2>/dev/null || true
}

stop_once() {
	local expr=$1
	shift
	start_run "$@"
	wait_until 20 status_says ".pid == $started_pid and ($expr)"
	kill -TERM "$started_pid"
	finish
}

status_of() {
	"$WEIR" status --json state 2>/dev/null | jq -r "$1"
}

status_says() {
	[ "$(status_of "$1")" = true ]
}

finish() {
	CODE=0
	wait "$started_pid" || CODE=$?
	no_crash
	check_accounts
}

no_crash() {
	case $CODE in
	132 | 134 | 135 | 136 | 139) fail "weir crashed: exit code $CODE" ;;
	esac
	if grep -aqE 'AddressSanitizer|runtime error:|LeakSanitizer' stderr; then fail "a sanitizer spoke"; fi
}

check_accounts() {
	[ -s summary.json ] || return 0
	jq -e . summary.json >/dev/null || fail "summary.json is no JSON"
	jq -e '.read == .succeeded + .dead + .dropped + .unfinished' summary.json >/dev/null ||
		fail "the accounts do not match: $(jq -c '{read, succeeded, dead, dropped, unfinished}' summary.json)"
	[ "$(jq .exit_code summary.json)" = "$CODE" ] ||
		fail "the summary says exit code $(jq .exit_code summary.json), it was $CODE"
}

expect() {
	"$@" >expect.log 2>&1 || fail "$*: $(tail -n 5 expect.log)"
}

expect_code() {
	[ "$CODE" = "$1" ] || fail "exit code $CODE, expected $1"
}

expect_out() {
	grep -aqE -- "$1" stdout || fail "stdout has no line with: $1"
}

expect_err() {
	grep -aqE -- "$1" stderr || fail "stderr has no line with: $1"
}

expect_sql() {
	local got
	got=$(sqlite3 "${3:-out.db}" "$1" 2>&1) || true
	[ "$got" = "$2" ] || fail "$1: got '$got', expected '$2'"
}

expect_pg() {
	local got
	got=$(postgres sql "$1" 2>&1) || true
	[ "$got" = "$2" ] || fail "$1: got '$got', expected '$2'"
}

expect_rows() {
	expect_sql "SELECT count(*) FROM ${3:-orders}" "$1" "${2:-out.db}"
}

expect_lines() {
	local got=0
	[ ! -e "$2" ] || got=$(wc -l <"$2")
	[ "$got" = "$1" ] || fail "$2 has $got lines, expected $1"
}

expect_summary() {
	expect_json summary.json "$1"
}

# Over all values of the file as one array, if it has several.
expect_json() {
	[ -s "$1" ] || fail "there is no $1"
	jq -se "if length == 1 then .[0] else . end | $2" "$1" >/dev/null 2>expect.log ||
		fail "$1: not so: $2 $(cat expect.log)"
}

# The source, the sink and the summary agree, and nothing is lost or doubled.
expect_oracle() {
	local sink=(--sink out.db:orders) dead=()
	if [ "$1" = --sink ]; then
		sink=(--sink "$2")
		shift 2
	fi
	[ ! -e dead.jsonl ] || dead=(--dead dead.jsonl)
	expect "$TREE/tests/support/oracle" --source orders.jsonl "${sink[@]}" "${dead[@]}" --summary summary.json "$@"
}

# N dead letters, each with a reason that matches.
expect_dead() {
	expect_lines "$1" dead.jsonl
	[ "$1" = 0 ] || jq -se --arg re "$2" 'all(.[]; .reason | test($re))' dead.jsonl >/dev/null ||
		fail "dead.jsonl: a reason that does not match $2"
}

# The one message of a refused config: its place, a part of its text, exit code 78, and nothing was sent.
expect_refused() {
	expect_code 78
	[ "$(wc -l <stderr)" = 1 ] || fail "stderr should be one line"
	expect_err "^([^ ]*/)?$1: .*$2"
}

# Where the endpoint of the run in state/ is, and what it answers: observed PATH [HEADER ...] prints the body and
# succeeds if the status is 200.
observe_port() {
	status_of .url | grep -oE '[0-9]+$'
}

observed() {
	local path=$1 head=$'Host: localhost\r\n' header
	shift
	for header in "$@"; do head+=$header$'\r\n'; done
	exec 9<>"/dev/tcp/127.0.0.1/$(observe_port)" || return 1
	printf 'GET %s HTTP/1.1\r\nConnection: close\r\n%s\r\n' "$path" "$head" >&9
	tr -d '\r' <&9 >observed
	exec 9<&-
	sed '1,/^$/d' observed
	head -n 1 observed | grep -q ' 200 '
}
