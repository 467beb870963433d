# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A fleet under odd circumstances, all at once: items of 1 MB in a server that has no room for all of them, a lease of a
# day, a worker whose clock is a year ahead, and one that is killed.
start_redis --maxmemory 24mb --maxmemory-policy noeviction
mock --latency 300ms
body=$(head -c 1000000 /dev/zero | tr '\0' x)
for n in $(seq 40); do echo "{\"order_id\": $n, \"text\": \"$body\"}"; done >orders.jsonl
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
broker: { redis: { url: '${env:REDIS_URL}', lease: 24h } }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.order_id}', expect: json }
  - jq: '{id, n: ($source.text | length)}'
sink: { sqlite: { path: out.db, table: orders, key: id } }
flow: { concurrency: 4 }
YAML
cat >year.c <<'C'
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#define YEAR 31536000
int clock_gettime(clockid_t clock, struct timespec *at)
{
	long code = syscall(SYS_clock_gettime, clock, at);
	if (!code && clock == CLOCK_REALTIME) at->tv_sec += YEAR;
	return (int)code;
}
int gettimeofday(struct timeval *at, void *zone)
{
	struct timespec now;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*at = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
	return 0;
}
time_t time(time_t *at)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (at) *at = now.tv_sec;
	return now.tv_sec;
}
C
expect cc -shared -fPIC -o year.so year.c

# The server is full, so the source waits.
start "$WEIR" submit --quiet pipeline.yaml
submit=$started_pid
wait_until 20 fleet_says '.read >= 8'
read_when_full=$(fleet_of .read)
expect test "$read_when_full" -lt 30

fleet_work killed
killed=$work_pid
wait_until 20 fleet_says "[.workers[] | select(.pid == $killed and .in_flight > 0)] | length == 1"
LD_PRELOAD=$PWD/year.so fleet_work ahead
wait_until 20 fleet_says "[.workers[] | select(.pid == $work_pid and .since > $(date +%s) + 30000000)] | length == 1"
kill -KILL "$killed"
wait "$killed" 2>/dev/null || true
work_ends "$work_pid" 0
started_pid=$submit
finish
expect_code 0
expect_sql 'SELECT count(*), min(n), max(n) FROM orders' '40|1000000|1000000'
expect fleet_says '.state == "done" and .succeeded == 40 and .workers == []'
