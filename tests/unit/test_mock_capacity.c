/* SPDX-License-Identifier: MIT */
/* What the mock says it can take: limits and their changes, workers, outages; how it tells, and how it counts.  Time is
 * a number, or virtual. */
#include "http/limits.h"
#include "mock/answer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <weir/random.h>

#include "support/test.h"

static struct mock_span span(const char *text)
{
	return (struct mock_span){text, strlen(text)};
}

TEST(mock_bucket_lets_the_burst_through_and_then_the_rate)
{
	struct mock_bucket bucket;
	weir_nsec now = 5 * WEIR_SEC;
	ck_assert_int_eq(mock_bucket_parse(span("1000/s,burst=50"), &bucket, NULL), 0);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(mock_bucket_take(&bucket, now), 0);
	ck_assert_int_eq(mock_bucket_take(&bucket, now), WEIR_MSEC);
	ck_assert_int_eq(mock_bucket_take(&bucket, now + WEIR_MSEC - 1), 1);
	ck_assert_int_eq(mock_bucket_take(&bucket, now + WEIR_MSEC), 0);
	ck_assert_int_gt(mock_bucket_take(&bucket, now + WEIR_MSEC), 0);
	int taken = 0;
	for (weir_nsec t = now + WEIR_MSEC; t < now + 10 * WEIR_SEC; t += 100 * WEIR_USEC)
		taken += mock_bucket_take(&bucket, t) == 0;
	ck_assert_int_ge(taken, 9990);
	ck_assert_int_le(taken, 10000);
}

TEST(mock_bucket_has_a_default_burst_and_refuses_nonsense)
{
	static const char *const bad[] = {"",        "5",         "5/x",         "/s",          "0/s",
					  "5/s,",    "5/s,burst", "5/s,burst=0", "5/s,burst=x", "5/s,bust=1",
					  "1000/s ", "0.0001/h",  "-1/s"};
	struct mock_bucket bucket;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(mock_bucket_parse(span(bad[i]), &bucket, NULL) == WEIR_EINVAL, "%s", bad[i]);
	ck_assert_int_eq(mock_bucket_parse(span("200/s"), &bucket, NULL), 0);
	ck_assert_uint_eq(bucket.rate.options.burst, 20);
	ck_assert_int_eq(mock_bucket_parse(span("30/m"), &bucket, NULL), 0);
	ck_assert_uint_eq(bucket.rate.options.burst, 1);
	ck_assert_int_eq(mock_bucket_parse(span("1/h,burst=1000000"), &bucket, NULL), 0);
	ck_assert_int_eq(mock_bucket_take(&bucket, WEIR_SEC), 0);
}

TEST(mock_bucket_window_lets_its_count_through_in_each_and_tells_when_it_ends)
{
	struct mock_bucket bucket;
	struct mock_quota quota;
	weir_nsec now = 5 * WEIR_SEC;
	ck_assert_int_eq(mock_bucket_parse(span("3/m,window"), &bucket, NULL), 0);
	mock_bucket_quota(&bucket, now, &quota);
	ck_assert(quota.count == 3 && quota.period == 60 * WEIR_SEC && quota.left == 3 && quota.reset == 60);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(mock_bucket_take(&bucket, now + i), 0);
	ck_assert_int_eq(mock_bucket_take(&bucket, now + 59 * WEIR_SEC), WEIR_SEC);
	mock_bucket_quota(&bucket, now + 58 * WEIR_SEC + 1, &quota);
	ck_assert(quota.left == 0 && quota.reset == 2);
	mock_bucket_quota(&bucket, now + 60 * WEIR_SEC, &quota);
	ck_assert(quota.left == 3 && quota.reset == 60);
	ck_assert_int_eq(mock_bucket_take(&bucket, now + 60 * WEIR_SEC), 0);
	mock_bucket_quota(&bucket, now + 60 * WEIR_SEC, &quota);
	ck_assert(quota.left == 2 && quota.reset == 60);
}

/* Whoever sends what is left, evenly over the time until the reset, is never refused. */
TEST(mock_bucket_tells_no_more_than_it_lets_through)
{
	static const char *const texts[] = {"1000/s,burst=50", "1000/s,burst=1", "7/m", "0.4/s,burst=3",
					    "5000/h,burst=10"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct mock_bucket bucket;
		weir_nsec now = WEIR_SEC;
		ck_assert_int_eq(mock_bucket_parse(span(texts[i]), &bucket, NULL), 0);
		for (int round = 0; round < 50; round++) {
			struct mock_quota quota;
			mock_bucket_quota(&bucket, now, &quota);
			ck_assert_int_ge(quota.reset, 1);
			ck_assert_uint_le(quota.left, quota.count);
			weir_nsec gap = quota.left ? quota.reset * WEIR_SEC / (weir_nsec)quota.left : 0;
			for (uint64_t k = 1; k <= quota.left; k++)
				ck_assert_msg(mock_bucket_take(&bucket, now + (weir_nsec)k * gap) == 0, "%s: %d",
					      texts[i], round);
			now += quota.reset * WEIR_SEC;
		}
	}
}

/* ---- capacity */

static struct mock_capacity_plan plan;
static struct mock_capacity capacity;

static void make_capacity(void)
{
	ck_assert_int_eq(mock_capacity_init(&capacity, &plan), 0);
}

static enum mock_refusal ask(weir_nsec now)
{
	int status;
	weir_nsec wait;
	return mock_capacity_ask(&capacity, now, &status, &wait);
}

/* Requests every 10 us for a second: how many are taken. */
static int taken_in_second(weir_nsec from)
{
	int taken = 0;
	for (weir_nsec t = from; t < from + WEIR_SEC; t += 10 * WEIR_USEC)
		taken += ask(t) == MOCK_TAKEN;
	return taken;
}

TEST(mock_capacity_limit_follows_its_schedule)
{
	static const char *const texts[] = {"1000/s,burst=1", "300/s,burst=1@20s", "none@40s"};
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(mock_capacity_limit(&plan, texts[i], NULL), 0);
	make_capacity();
	weir_nsec start = 1000 * WEIR_SEC; /* the schedule begins with the first request */
	for (int second = 0; second < 45; second++) {
		int taken = taken_in_second(start + second * WEIR_SEC), most = second < 20   ? 1000
									       : second < 40 ? 300
											     : 100000;
		ck_assert_msg(taken >= most * 99 / 100 && taken <= most, "%d: %d", second, taken);
	}
}

TEST(mock_capacity_limit_that_changes_is_no_second_burst)
{
	ck_assert_int_eq(mock_capacity_limit(&plan, "100/s,burst=100", NULL), 0);
	ck_assert_int_eq(mock_capacity_limit(&plan, "10/s,burst=10@1s", NULL), 0);
	make_capacity();
	int taken = 0;
	weir_nsec t = 5 * WEIR_SEC;
	for (; t < 6 * WEIR_SEC; t += WEIR_MSEC)
		taken += ask(t) == MOCK_TAKEN;
	ck_assert_int_ge(taken, 198);
	ck_assert_int_eq(ask(t), MOCK_TAKEN); /* the one that was saved up before the change */
	ck_assert_int_eq(ask(t), MOCK_OVER_LIMIT);
	ck_assert_int_eq(ask(t + 20 * WEIR_MSEC), MOCK_OVER_LIMIT);
}

TEST(mock_capacity_refuses_what_is_too_much_in_flight)
{
	int status;
	weir_nsec wait;
	ck_assert_int_eq(mock_capacity_in_flight(&plan, "2:503", NULL), 0);
	ck_assert_int_eq(mock_capacity_limit(&plan, "1/h,burst=3", NULL), 0);
	make_capacity();
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(mock_capacity_ask(&capacity, WEIR_SEC, &status, &wait), MOCK_TAKEN);
		mock_capacity_enter(&capacity);
	}
	ck_assert_int_eq(mock_capacity_ask(&capacity, WEIR_SEC, &status, &wait), MOCK_TOO_MANY_AT_ONCE);
	ck_assert(status == 503 && wait == 0);
	mock_capacity_leave(&capacity);
	ck_assert_int_eq(ask(WEIR_SEC), MOCK_TAKEN); /* and the refusal took no token */
	ck_assert_int_eq(ask(WEIR_SEC), MOCK_OVER_LIMIT);
	ck_assert_uint_eq(capacity.max_in_flight, 2);
}

TEST(mock_capacity_is_out_when_it_says)
{
	int status;
	weir_nsec wait;
	ck_assert_int_eq(mock_capacity_outage(&plan, "10s..70s", NULL), 0);
	ck_assert_int_eq(mock_capacity_outage(&plan, "100s..1000ms", NULL), WEIR_EINVAL);
	ck_assert_int_eq(mock_capacity_outage(&plan, "1.5m..2m:502", NULL), 0);
	make_capacity();
	weir_nsec start = 77 * WEIR_SEC;
	for (int second = 0; second < 150; second++) {
		bool out = (second >= 10 && second < 70) || (second >= 90 && second < 120);
		ck_assert_int_eq(mock_capacity_ask(&capacity, start + second * WEIR_SEC, &status, &wait),
				 out ? MOCK_IN_OUTAGE : MOCK_TAKEN);
		ck_assert(!out || status == (second < 70 ? 503 : 502));
	}
}

/* The same line, the slow way: each request takes the worker that is free first. */
TEST(mock_capacity_workers_take_requests_in_order)
{
	enum { WORKERS = 7, REQUESTS = 5000 };
	weir_nsec free_at[WORKERS] = {0}, now = WEIR_SEC;
	uint64_t random = 11;
	plan.workers = WORKERS;
	make_capacity();
	for (int i = 0; i < REQUESTS; i++) {
		now += (weir_nsec)weir_random_below(&random, 30) * WEIR_MSEC;
		weir_nsec takes = (weir_nsec)weir_random_below(&random, 200) * WEIR_MSEC;
		size_t first = 0;
		for (size_t k = 1; k < WORKERS; k++)
			if (free_at[k] < free_at[first])
				first = k;
		free_at[first] = (free_at[first] > now ? free_at[first] : now) + takes;
		ck_assert_int_eq(mock_capacity_work(&capacity, takes, now), free_at[first] - now);
	}
	ck_assert_uint_gt(capacity.queued, REQUESTS / 10);
	ck_assert_uint_lt(capacity.queued, REQUESTS);
	mock_capacity_fini(&capacity);
}

TEST(mock_capacity_workers_are_a_link_of_fixed_width)
{
	plan.workers = 10;
	make_capacity();
	/* 10 workers of 100 ms do 100/s: at 200/s the line grows by 100 requests, which is one second, each second */
	for (int i = 0; i < 1000; i++) {
		weir_nsec now = WEIR_SEC + i * 5 * WEIR_MSEC;
		weir_nsec delay = mock_capacity_work(&capacity, 100 * WEIR_MSEC, now);
		weir_nsec expected = (i / 10 + 1) * 100 * WEIR_MSEC - i * 5 * WEIR_MSEC;
		ck_assert_int_ge(delay, 100 * WEIR_MSEC);
		ck_assert_int_ge(delay, expected);
		ck_assert_int_le(delay, expected + 50 * WEIR_MSEC);
	}
	mock_capacity_fini(&capacity);
}

TEST(mock_capacity_refuses_nonsense)
{
	static const char *const limits[] = {"1000/s@", "1000/s@x", "@5s", "1000/s@5", "none,burst=3", "5/s,window=3"};
	static const char *const outages[] = {"", "5s", "..5s", "5s..", "5s..5s", "5s..4s", "1s..2s:200", "1s..2s:"};
	static const char *const numbers[] = {"", "0", "x", "5:", "5:200", "5:600", "9999999"};
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		ck_assert_msg(mock_capacity_limit(&plan, limits[i], NULL) == WEIR_EINVAL, "%s", limits[i]);
	for (size_t i = 0; i < sizeof outages / sizeof *outages; i++)
		ck_assert_msg(mock_capacity_outage(&plan, outages[i], NULL) == WEIR_EINVAL, "%s", outages[i]);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		ck_assert_msg(mock_capacity_in_flight(&plan, numbers[i], NULL) == WEIR_EINVAL, "%s", numbers[i]);
	ck_assert_uint_eq(plan.steps + plan.outages + plan.max_in_flight, 0);
	ck_assert_int_eq(mock_capacity_limit(&plan, "5/s@20s", NULL), 0);
	ck_assert_int_eq(mock_capacity_limit(&plan, "6/s@20s", NULL), WEIR_EINVAL);
	ck_assert_int_eq(mock_capacity_limit(&plan, "6/s", NULL), WEIR_EINVAL);
}

/* ---- counting */

TEST(mock_meter_knows_the_fullest_window)
{
	static struct mock_meter meter;
	weir_nsec start = 123456789;
	/* 5 and 5 in two neighbouring seconds, 8 of them within one */
	static const int at_ms[] = {0, 1, 600, 700, 800, 1100, 1200, 1300, 1400, 1500, 9000, 9999, 10000};
	static const uint64_t most[] = {1, 2, 3, 4, 5, 5, 5, 6, 7, 8, 8, 8, 8};
	for (size_t i = 0; i < sizeof at_ms / sizeof *at_ms; i++) {
		mock_meter_add(&meter, i == 3, start + at_ms[i] * WEIR_MSEC);
		ck_assert_msg(meter.most_in_window == most[i], "%zu: %llu", i,
			      (unsigned long long)meter.most_in_window);
	}
	ck_assert_uint_eq(meter.in_window, 2); /* a second after it the one at 9000 does not count any more */
	struct buf out = {0};
	mock_meter_write(&meter, &out);
	ck_assert_str_eq(out.data, "{\"requests\":[5,5,0,0,0,0,0,0,0,2,1],\"refused\":[1,0,0,0,0,0,0,0,0,0,0]}\n");
	buf_fini(&out);
	mock_meter_add(&meter, false, start + 86400 * WEIR_SEC); /* much later: the table has an end */
	ck_assert_uint_eq(meter.in_window, 1);
	ck_assert_uint_eq(meter.seconds_used, 11);
}

/* ---- telling */

static struct mock_config config;
static struct mock_desk desk;

static void open_desk(const char *limit, const char *headers)
{
	mock_config_init(&config);
	ck_assert_int_eq(mock_capacity_limit(&config.capacity, limit, NULL), 0);
	ck_assert_int_eq(mock_config_limit_headers(&config, headers, NULL), 0);
	ck_assert_int_eq(mock_desk_init(&desk, &config), 0);
}

static void close_desk(void)
{
	mock_desk_fini(&desk);
	mock_config_fini(&config);
}

/* One request, and what its answer tells the client that weir has. */
static struct weir_hint hint_of_answer(int status)
{
	static const char text[] = "GET /orders/1 HTTP/1.1\r\nHost: t\r\n\r\n";
	struct mock_request request = {0};
	struct mock_answer answer;
	struct http_limits limits = {0};
	struct weir_hint hint;
	struct buf out = {0};
	ck_assert_int_eq(mock_request_feed(&request, text, sizeof text - 1), 1);
	mock_answer_make(&desk, &request, text, NULL, &answer);
	ck_assert_int_eq(answer.status, status);
	size_t head_bytes = mock_answer_encode(&answer, &desk.body, &out);
	for (const char *at = out.data, *end = at + head_bytes; at < end;) {
		size_t n = strcspn(at, "\n") + 1;
		http_limits_line(&limits, at, n);
		at += n;
	}
	http_limits_hint(&limits, (int64_t)time(NULL), &hint);
	buf_fini(&out);
	return hint;
}

FIBER_TEST(mock_limit_headers_are_what_clients_understand)
{
	static const char *const headers[] = {"ratelimit", "ratelimit-old", "x-ratelimit"};
	for (size_t i = 0; i < 3; i++) {
		open_desk("3/m,window", headers[i]);
		for (unsigned left = 3; left-- > 0;) {
			struct weir_hint hint = hint_of_answer(200);
			ck_assert(hint.quota == 3 && hint.counts && hint.left == left && !hint.retry_after);
			ck_assert_int_eq(hint.window, i == 2 ? 0 : 60 * WEIR_SEC);
			/* a Unix time may have moved on by a second since it was written */
			ck_assert(hint.reset == 60 * WEIR_SEC || (i == 2 && hint.reset == 59 * WEIR_SEC));
		}
		weir_sleep(58500 * WEIR_MSEC);
		struct weir_hint hint = hint_of_answer(429);
		ck_assert(hint.quota == 3 && hint.counts && hint.left == 0 && hint.retry_after == 2 * WEIR_SEC);
		weir_sleep(1500 * WEIR_MSEC);
		ck_assert_uint_eq(hint_of_answer(200).left, 2);
		close_desk();
	}
}

FIBER_TEST(mock_limit_headers_follow_the_schedule)
{
	open_desk("100/s", "ratelimit");
	ck_assert_int_eq(mock_capacity_limit(&config.capacity, "30/s@20s", NULL), 0);
	ck_assert_int_eq(mock_capacity_limit(&config.capacity, "none@40s", NULL), 0);
	ck_assert_int_eq(mock_capacity_outage(&config.capacity, "10s..15s", NULL), 0);
	ck_assert_uint_eq(hint_of_answer(200).quota, 100);
	weir_sleep(12 * WEIR_SEC);
	ck_assert_uint_eq(hint_of_answer(503).quota, 0);
	weir_sleep(8 * WEIR_SEC);
	ck_assert_uint_eq(hint_of_answer(200).quota, 30);
	weir_sleep(20 * WEIR_SEC);
	ck_assert_uint_eq(hint_of_answer(200).quota, 0);
	ck_assert_uint_eq(desk.stats.refusals[MOCK_IN_OUTAGE], 1);
	close_desk();
}
