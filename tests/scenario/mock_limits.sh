# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the mock can be told to bear, and how it says so.
expect_answer() { # STATUS REGEX
	mock_get /orders/1 >answer
	grep -q "^HTTP/1.1 $1 " answer || fail "expected $1: $(head -n 1 answer)"
	grep -qE "$2" answer || fail "no line $2: $(cat answer)"
}

# A quota, told in three ways.
mock --limit 2/h,window --limit-headers ratelimit
expect_answer 200 '^RateLimit-Policy: "default";q=2;w=3600$'
expect_answer 200 '^RateLimit: "default";r=0;t=3600$'
expect_answer 429 '^Retry-After: (3600|3599)$'
[ "$(mock_stat .limited)" = 1 ] || fail "limited: $(mock_stat .)"
mock --limit 2/h,window --limit-headers ratelimit-old
expect_answer 200 '^RateLimit-Limit: 2, 2;w=3600$'
expect_answer 200 '^RateLimit-Remaining: 0$'
expect_answer 429 '^RateLimit-Reset: (3600|3599)$'
mock --limit 2/h,window --limit-headers x-ratelimit --retry-after none
expect_answer 200 '^X-RateLimit-Remaining: 1$'
expect_answer 200 "^X-RateLimit-Reset: ($(date -d '+3600 sec' +%s)|$(date -d '+3599 sec' +%s)|$(date -d '+3598 sec' +%s))\$"
expect_answer 429 '^X-RateLimit-Limit: 2$'
if grep -q '^Retry-After' answer; then fail "a Retry-After in spite of none"; fi

# A limit that changes, and an outage: both by the time since the first request.
mock --limit 1/h,burst=1 --limit none@1s --outage 2s..3s --outage 4s..1h:502 --limit-headers ratelimit
expect_answer 200 '^RateLimit: '
expect_answer 429 'over the limit'
sleep 1.1
expect_answer 200 '"total":'
if grep -q '^RateLimit' answer; then fail "a limit is told where there is none"; fi
sleep 1.1
expect_answer 503 'out of order'
sleep 1
expect_answer 200 '"total":'
sleep 1
expect_answer 502 'out of order'
[ "$(mock_stat .in_outage)" = 2 ] || fail "in_outage: $(mock_stat .)"
[ "$(mock_stat '.requests | add' /stats/seconds)" = 6 ] || fail "seconds: $(mock_stat . /stats/seconds)"

# So many at once and no more; so many workers, and a line before them.
mock --max-in-flight 3:503 --latency 300ms
for i in 1 2 3 4 5; do mock_get /orders/1 >"answer$i" & pids+=("$!"); done
wait_until 5 test -s answer1 -a -s answer2 -a -s answer3 -a -s answer4 -a -s answer5
[ "$(cat answer[1-5] | grep -c '^HTTP/1.1 503')" = 2 ] || fail "expected two 503: $(mock_stat .)"
[ "$(mock_stat '.in_flight | [.max, .refused] | @csv')" = 3,2 ] || fail "in_flight: $(mock_stat .)"
mock --workers 2 --latency 100ms
started=${EPOCHREALTIME/./}
for i in 1 2 3 4 5 6; do mock_get /orders/1 >"line$i" & pids+=("$!"); done
wait_until 5 test -s line1 -a -s line2 -a -s line3 -a -s line4 -a -s line5 -a -s line6
took=$(((${EPOCHREALTIME/./} - started) / 1000))
[ "$took" -ge 300 ] || fail "6 requests of 100 ms by 2 workers took $took ms"
[ "$(mock_stat '.in_flight.queued')" = 4 ] || fail "queued: $(mock_stat .)"

# The fullest second is known.
mock
for i in 1 2 3 4 5; do mock_get /orders/1 >answer; done
sleep 1.1
for i in 1 2 3; do mock_get /orders/1 >answer; done
[ "$(mock_stat '.most_in_window')" = 5 ] || fail "most_in_window: $(mock_stat .)"

# What makes no sense is said.
weir mock --limit 5/s --limit 6/s
expect_code 64
expect_err "not later than the limit before it"
weir mock --outage 5s
expect_code 64
expect_err "'5s' is not an outage"
