/* SPDX-License-Identifier: MIT */
/* What servers tell of their limits: pure, so the wall clock is a number. */
#include "http/limits.h"

#include "support/test.h"
#include <stdlib.h>
#include <string.h>
#include <weir/random.h>

#define NOW ((int64_t)1767225600) /* Thu, 01 Jan 2026 00:00:00 GMT */

/* Lines are given in memory of exactly their length, so that a sanitizer sees every byte read too far. */
static struct weir_hint hint_of(const char *lines, size_t bytes, int64_t wall)
{
	struct http_limits limits = {0};
	struct weir_hint hint;
	for (const char *at = lines, *end = lines + bytes; at < end;) {
		const char *next = memchr(at, '\n', (size_t)(end - at));
		size_t n = next ? (size_t)(next + 1 - at) : (size_t)(end - at);
		char *line = malloc(n);
		memcpy(line, at, n);
		http_limits_line(&limits, line, n);
		free(line);
		at += n;
	}
	http_limits_hint(&limits, wall, &hint);
	return hint;
}

static struct weir_hint hint(const char *lines)
{
	return hint_of(lines, strlen(lines), NOW);
}

TEST(retry_after_takes_seconds_durations_and_dates_and_nothing_else)
{
	static const struct {
		const char *text;
		int64_t wall;
		weir_nsec want;
	} rows[] = {
		{"1", 0, WEIR_SEC},
		{"120", 0, 120 * WEIR_SEC},
		{"2.0", 0, 2 * WEIR_SEC}, /* Shopify says it so */
		{"0.25", 0, 250 * WEIR_MSEC},
		{" 5 ", 0, 5 * WEIR_SEC},
		{"0", 0, 0},
		{"", 0, 0},
		{"soon", 0, 0},
		{"-5", 0, 0},
		{"+5", 0, 0},
		{"1.", 0, 0},
		{".5", 0, 0},
		{"1,5", 0, 0},
		{"5s", 0, 5 * WEIR_SEC},
		{"6m0s", 0, 360 * WEIR_SEC},
		{"1h2m3.5s", 0, 3723500 * WEIR_MSEC},
		{"20ms", 0, 20 * WEIR_MSEC},
		{"1d", 0, 86400 * WEIR_SEC},
		{"250us", 0, WEIR_MSEC},
		{"m", 0, 0},
		{"5x", 0, 0},
		{"5s6", 0, 0},
		{"34560000", 0, 400 * 86400 * WEIR_SEC},
		{"34560001", 0, 400 * 86400 * WEIR_SEC},
		{"99999999999999", 0, 400 * 86400 * WEIR_SEC},
		{"99999999999999999999999999999999999", 0, 400 * 86400 * WEIR_SEC},
		{"1767225610", NOW, 10 * WEIR_SEC}, /* some take it for a point in time */
		{"1767225610000", NOW, 10 * WEIR_SEC},
		{"2026-01-01T00:00:10Z", NOW, 10 * WEIR_SEC},
		{"2026-01-01T02:00:10.25+02:00", NOW, 10 * WEIR_SEC},
		{"2026-01-01T00:00:10", NOW, 0},
		{"2026-01-01T00:00:10+02", NOW, 0},
		{"2026-01-01T00:00:10Zulu", NOW, 0},
		{"2026-13-01T00:00:10Z", NOW, 0},
		{"Thu, 01 Jan 2026 00:00:00 GMT", NOW - 10, 10 * WEIR_SEC},
		{"Thursday, 01-Jan-26 00:00:00 GMT", NOW - 10, 10 * WEIR_SEC},
		{"Thu Jan  1 00:00:00 2026", NOW - 10, 10 * WEIR_SEC},
		{"Thu, 01 Jan 2026 00:00:00 GMT", NOW, 0},
		{"Thu, 01 Jan 2026 00:00:00 GMT", NOW + 90, 0},
		{"Thu, 01 Jan 2026 00:00:00 GMT", NOW - 60, 60 * WEIR_SEC},
		{"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000 - 1, WEIR_SEC},
		{"Fri, 31 Dec 9999 23:59:59 GMT", NOW, 400 * 86400 * WEIR_SEC},
		{"Sun, 06 Nox 1994 08:49:37 GMT", 0, 0},
		{"Sun, 06 N 1994 08:49:37 GMT", 0, 0},
		{"Sun, 99 Nov 2094 08:49:37 GMT", 0, 0},
		{"Sun, 06 Nov 2094 25:49:37 GMT", 0, 0},
		{"Sun, 06 Nov 2094", 0, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *line = test_format("Retry-After: %s\r\n", rows[i].text);
		struct weir_hint got = hint_of(line, strlen(line), rows[i].wall);
		ck_assert_msg(got.retry_after == rows[i].want, "'%s': %lld", rows[i].text, (long long)got.retry_after);
		ck_assert(!got.quota && !got.window && !got.counts);
	}
}

TEST(limits_of_real_servers_are_understood)
{
	static const struct {
		const char *whose, *lines;
		struct weir_hint want; /* times in seconds */
	} rows[] = {
		{"nobody's",
		 "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nX-Request-Id: 7\r\n\r\n",
		 {0}},
		{"GitHub",
		 "x-ratelimit-limit: 5000\r\nx-ratelimit-remaining: 4987\r\nx-ratelimit-reset: 1767229200\r\n"
		 "x-ratelimit-used: 13\r\nx-ratelimit-resource: core\r\n",
		 {.quota = 5000, .counts = true, .left = 4987, .reset = 3600}},
		{"GitHub, used up (a 403)",
		 "x-ratelimit-limit: 60\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1767225660\r\n",
		 {.quota = 60, .counts = true, .left = 0, .reset = 60}},
		{"GitHub, with a clock two minutes before ours",
		 "date: Wed, 31 Dec 2025 23:58:00 GMT\r\nx-ratelimit-limit: 60\r\nx-ratelimit-remaining: 0\r\n"
		 "x-ratelimit-reset: 1767225540\r\n",
		 {.quota = 60, .counts = true, .left = 0, .reset = 60}},
		{"X",
		 "x-rate-limit-limit: 900\r\nx-rate-limit-remaining: 899\r\nx-rate-limit-reset: 1767226500\r\n",
		 {.quota = 900, .counts = true, .left = 899, .reset = 900}},
		{"Stripe, 429", "Retry-After: 1\r\nStripe-Rate-Limited-Reason: global-rate\r\n", {.retry_after = 1}},
		{"Cloudflare's API",
		 "Ratelimit: \"default\";r=50;t=30\r\nRatelimit-Policy: \"burst\";q=100;w=60\r\n",
		 {.quota = 100, .window = 60, .counts = true, .left = 50, .reset = 30}},
		{"Cloudflare, error 1015", "Retry-After: 30\r\nCF-RAY: 8\r\n", {.retry_after = 30}},
		{"Shopify, a bucket that leaks 2/s",
		 "X-Shopify-Shop-Api-Call-Limit: 40/40\r\nRetry-After: 2.0\r\n",
		 {.retry_after = 2, .quota = 40, .window = 20}},
		{"Shopify Plus", "X-Shopify-Shop-Api-Call-Limit: 3/400\r\n", {.quota = 400, .window = 20}},
		{"OpenAI",
		 "x-ratelimit-limit-requests: 500\r\nx-ratelimit-limit-tokens: 200000\r\n"
		 "x-ratelimit-remaining-requests: 499\r\nx-ratelimit-remaining-tokens: 199000\r\n"
		 "x-ratelimit-reset-requests: 120ms\r\nx-ratelimit-reset-tokens: 6m0s\r\n",
		 {.quota = 500, .counts = true, .left = 499, .reset = 1}},
		{"OpenAI, no tokens left",
		 "x-ratelimit-limit-requests: 500\r\nx-ratelimit-limit-tokens: 200000\r\n"
		 "x-ratelimit-remaining-requests: 499\r\nx-ratelimit-remaining-tokens: 0\r\n"
		 "x-ratelimit-reset-requests: 120ms\r\nx-ratelimit-reset-tokens: 6m0s\r\n"
		 "retry-after-ms: 2000\r\nretry-after: 2\r\n",
		 {.retry_after = 2, .quota = 500, .counts = true, .left = 0, .reset = 360}},
		{"Azure OpenAI, 429", "x-ms-retry-after-ms: 7000\r\n", {.retry_after = 7}},
		{"Anthropic",
		 "anthropic-ratelimit-requests-limit: 50\r\nanthropic-ratelimit-requests-remaining: 49\r\n"
		 "anthropic-ratelimit-requests-reset: 2026-01-01T00:00:02Z\r\n"
		 "anthropic-ratelimit-input-tokens-limit: 50000\r\nanthropic-ratelimit-input-tokens-remaining: 0\r\n"
		 "anthropic-ratelimit-input-tokens-reset: 2026-01-01T00:00:30Z\r\n"
		 "anthropic-ratelimit-output-tokens-limit: 10000\r\n"
		 "anthropic-ratelimit-output-tokens-remaining: 9000\r\n"
		 "anthropic-ratelimit-output-tokens-reset: 2026-01-01T00:00:06Z\r\n",
		 {.quota = 50, .counts = true, .left = 0, .reset = 30}},
		{"HubSpot",
		 "X-HubSpot-RateLimit-Daily: 500000\r\nX-HubSpot-RateLimit-Daily-Remaining: 499000\r\n"
		 "X-HubSpot-RateLimit-Interval-Milliseconds: 10000\r\nX-HubSpot-RateLimit-Max: 100\r\n"
		 "X-HubSpot-RateLimit-Remaining: 98\r\n",
		 {.quota = 500000, .window = 86400, .counts = true, .left = 499000, .reset = 86400}},
		{"Reddit",
		 "X-Ratelimit-Used: 1\r\nX-Ratelimit-Remaining: 599.0\r\nX-Ratelimit-Reset: 120\r\n",
		 {.counts = true, .left = 599, .reset = 120}},
		{"Discord",
		 "X-RateLimit-Limit: 5\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1767225600.250\r\n"
		 "X-RateLimit-Reset-After: 0.250\r\nX-RateLimit-Bucket: abcd\r\nRetry-After: 65\r\n",
		 {.retry_after = 65, .quota = 5, .counts = true, .left = 0, .reset = 1}},
		{"Envoy",
		 "x-ratelimit-limit: 10, 10;w=1;name=\"per-ip\", 1000;w=3600\r\nx-ratelimit-remaining: 9\r\n"
		 "x-ratelimit-reset: 1\r\n",
		 {.quota = 1000, .window = 3600, .counts = true, .left = 9, .reset = 1}},
		{"Kong",
		 "X-RateLimit-Limit-Minute: 10\r\nX-RateLimit-Remaining-Minute: 9\r\nRateLimit-Limit: 10\r\n"
		 "RateLimit-Remaining: 9\r\nRateLimit-Reset: 41\r\n",
		 {.quota = 10, .window = 60, .counts = true, .left = 9, .reset = 60}},
		{"a gateway and what is behind it",
		 "X-RateLimit-Limit: 60, 5000\r\nX-RateLimit-Remaining: 59\r\nX-RateLimit-Remaining: 70\r\n"
		 "X-RateLimit-Reset: 60\r\nX-RateLimit-Reset: 3600\r\n",
		 {.quota = 60, .counts = true, .left = 70, .reset = 3600}},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct weir_hint got = hint(rows[i].lines), want = rows[i].want;
		ck_assert_msg(got.retry_after == want.retry_after * WEIR_SEC && got.quota == want.quota &&
				      got.window == want.window * WEIR_SEC && got.counts == want.counts &&
				      got.left == want.left && got.reset == want.reset * WEIR_SEC,
			      "%s: retry %lld, %llu in %lld, %d: %llu for %lld", rows[i].whose,
			      (long long)got.retry_after, (unsigned long long)got.quota, (long long)got.window,
			      got.counts, (unsigned long long)got.left, (long long)got.reset);
	}
}

static void expect_quota(const char *lines, uint64_t quota, int64_t window_s)
{
	struct weir_hint got = hint(lines);
	ck_assert_msg(got.quota == quota && got.window == window_s * WEIR_SEC, "%s%llu in %lld s", lines,
		      (unsigned long long)got.quota, (long long)(got.window / WEIR_SEC));
}

TEST(limits_of_several_policies_the_lowest_rate_counts)
{
	expect_quota("RateLimit-Policy: \"burst\";q=100;w=60\r\n", 100, 60);
	expect_quota("RateLimit-Policy: \"a\";q=100;w=60,\"b\";q=1000;w=86400\r\n", 1000, 86400);
	expect_quota("RateLimit-Policy: \"a\";q=1000;w=86400\r\nRateLimit-Policy: \"b\";q=100;w=60\r\n", 1000, 86400);
	expect_quota("RateLimit-Policy: \"a\";q=1000;w=60,\"b\";q=100;w=60\r\n", 100, 60);
	expect_quota("RateLimit-Policy: \"a\";q=10,\"b\";q=100;w=60\r\n", 100, 60);
	expect_quota("RateLimit-Policy: \"a\";q=10\r\n", 10, 0);
	expect_quota("RateLimit-Policy: 10;w=1, 50;w=60\r\n", 50, 60);
	expect_quota("RateLimit-Policy: 10;w=1;comment=\"a, b;w=5000\", 50;w=60\r\n", 50, 60);
	expect_quota("RateLimit-Policy: \"a\\\"b;q=1;w=1\";q=50;w=60\r\n", 50, 60);
	expect_quota("RateLimit-Limit: 100, 100;w=60, 5000;window=86400\r\n", 5000, 86400);
	expect_quota("RateLimit: limit=100, remaining=50, reset=30\r\nRateLimit-Policy: 100;w=60\r\n", 100, 60);
	expect_quota("ratelimit-policy : \"a\";q=1;w=1\r\n", 0, 0);
	/* other things than requests are counted there */
	expect_quota("RateLimit-Policy: \"b\";q=65535;qu=\"content-bytes\";w=10, \"a\";q=20;w=1\r\n", 20, 1);
	expect_quota("RateLimit-Policy: \"b\";q=2;w=10;qu=\"concurrent-requests\", \"a\";q=20;w=1;qu=\"requests\"\r\n",
		     20, 1);
	expect_quota("RateLimit-Policy: \"a\";q=100;w=60;pk=:cHJvdGVjdA==:\r\n", 100, 60);
}

static void expect_left(const char *lines, int64_t left, int64_t reset_s)
{
	struct weir_hint got = hint(lines);
	ck_assert_msg(got.counts == (left >= 0) && got.left == (uint64_t)(left < 0 ? 0 : left) &&
			      got.reset == reset_s * WEIR_SEC,
		      "%s%d: %llu for %lld", lines, got.counts, (unsigned long long)got.left, (long long)got.reset);
}

TEST(limits_of_several_counts_the_one_that_lasts_least_counts)
{
	expect_left("RateLimit: \"default\";r=50;t=30\r\n", 50, 30);
	expect_left("RateLimit: \"a\";r=50;t=30,\"b\";r=50;t=60\r\n", 50, 60);
	expect_left("RateLimit: \"a\";r=0;t=3\r\nRateLimit: \"b\";r=50;t=6000\r\n", 0, 3);
	expect_left("RateLimit: \"a\";r=0;t=3, \"b\";r=0;t=60\r\n", 0, 60);
	expect_left("RateLimit: limit=100, remaining=50, reset=30\r\n", 50, 30);
	expect_left("RateLimit: \"a\";r=5;t=10\r\nX-RateLimit-Remaining: 500\r\nX-RateLimit-Reset: 10\r\n", 5, 10);
	/* no time: the policy's window is the longest it may be; without that it says nothing */
	expect_left("RateLimit: \"a\";r=5\r\nRateLimit-Policy: \"b\";q=9;w=7, \"a\";q=10;w=60\r\n", 5, 60);
	expect_left("RateLimit: \"a\";r=5\r\nRateLimit-Policy: \"b\";q=10;w=60\r\n", -1, 0);
	expect_left("RateLimit: \"a\";r=5;t=7\r\nRateLimit-Policy: \"a\";q=10;qu=\"content-bytes\";w=60\r\n", -1, 0);
	expect_left("RateLimit-Remaining: 5\r\n", -1, 0);
	expect_left("RateLimit-Remaining: 5\r\nX-RateLimit-Reset: 10\r\n", -1, 0);
	expect_left("RateLimit-Remaining: -1\r\nRateLimit-Reset: 10\r\n", -1, 0);
	expect_left("RateLimit: \"a\";r=x;t=7\r\n", -1, 0);
	/* a reset, as its size tells: seconds, an epoch, one in milliseconds; past, far away */
	expect_left("X-RateLimit-Remaining: 5\r\nX-RateLimit-Reset: 1000\r\n", 5, 1000);
	expect_left("X-RateLimit-Remaining: 5\r\nX-RateLimit-Reset: 1767225690\r\n", 5, 90);
	expect_left("X-RateLimit-Remaining: 5\r\nX-RateLimit-Reset: 1767225600001\r\n", 5, 1);
	expect_left("X-RateLimit-Remaining: 5\r\nX-RateLimit-Reset: 1767225600\r\n", -1, 0);
	expect_left("X-RateLimit-Remaining: 5\r\nX-RateLimit-Reset: 0\r\n", -1, 0);
	expect_left("X-RateLimit-Remaining: 5\r\nX-RateLimit-Reset: 999999999\r\n", -1, 0);
	expect_left("X-RateLimit-Remaining: 5\r\nX-RateLimit-Reset: 99999999999999999999\r\n", -1, 0);
	/* in µs and in ns, as the PUBG API tells it; a duration; RFC 3339 */
	expect_left("X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1767225602000000\r\n", 0, 2);
	expect_left("X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1767225602000000000\r\n", 0, 2);
	expect_left("X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 6m0s\r\n", 0, 360);
	expect_left("X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 2026-01-01T00:01:00Z\r\n", 0, 60);
	expect_left("X-RateLimit-Remaining: 3\r\nX-RateLimit-Reset-After: 0.25\r\n", 3, 1);
	/* of unknown things nothing is said */
	expect_left("X-RateLimit-Remaining-Widgets: 0\r\nX-RateLimit-Reset-Widgets: 5\r\n", -1, 0);
	expect_left("X-RateLimit-Remaining-Tokens: 7\r\nX-RateLimit-Reset-Tokens: 5s\r\n", -1, 0);
	expect_left("X-RateLimit-Remaining-Tokens: 0\r\nX-RateLimit-Reset-Tokens: 5s\r\n", 0, 5);
	expect_left("X-RateLimit-Remaining: 5\r\nX-RateLimit-Reset: 2014-12-01T16:30:06+00:00\r\n", -1, 0);
}

TEST(limits_that_are_too_many_are_not_read)
{
	char lines[8000] = "";
	for (int i = 0; i < 100; i++)
		strcat(lines, "RateLimit-Policy: \"a\";q=100;w=60\r\n");
	strcat(lines, "RateLimit-Policy: \"a\";q=1;w=60\r\n");
	expect_quota(lines, 100, 60);
}

/* ---- whatever comes */

static const char *const seeds[] = {
	"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nRetry-After: Thu, 01 Jan 2026 00:01:00 GMT\r\n",
	"Retry-After: 120\r\nX-RateLimit-Limit: 10, 10;w=1;name=\"per-ip\", 1000;w=3600\r\n",
	"RateLimit-Policy: \"burst\";q=100;w=60, \"b\";q=7;qu=\"content-bytes\"\r\nRateLimit: \"burst\";r=50;t=30\r\n",
	"RateLimit: limit=100, remaining=50, reset=30\r\nRateLimit-Policy: 100;w=10, 5;w=1\r\n",
	"X-RateLimit-Limit: 5000\r\nX-RateLimit-Remaining: 4999\r\nX-RateLimit-Reset: 1767229200\r\n",
	"x-ratelimit-limit-requests: 500\r\nx-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 1h6m0.5s\r\n",
	"anthropic-ratelimit-requests-remaining: 0\r\nanthropic-ratelimit-requests-reset: "
	"2026-01-01T00:00:02+00:30\r\n",
	"x-hubspot-ratelimit-max: 100\r\nx-hubspot-ratelimit-interval-milliseconds: 1\r\nretry-after-ms: 5\r\n",
	"RateLimit-Limit: 9999999999999999999\r\nRateLimit-Remaining: 1e9\r\nRateLimit-Reset: 1767229200123\r\n",
};

static size_t mutate(char *text, size_t n, size_t room, uint64_t *random)
{
	static const char letters[] = "\"\\;,=:. \t\r\n0123456789qwrtx-RL\0\xff";
	for (uint64_t i = weir_random_below(random, 8); i-- > 0;) {
		size_t at = weir_random_below(random, n);
		char c = letters[weir_random_below(random, sizeof letters)];
		switch (weir_random_below(random, 4)) {
		case 0:
			text[at] = c;
			break;
		case 1: /* one more */
			if (n < room) {
				memmove(text + at + 1, text + at, n++ - at);
				text[at] = c;
			}
			break;
		case 2: /* a piece twice */
			if (n - at <= room - n) {
				memcpy(text + n, text + at, n - at);
				n += n - at;
			}
			break;
		default: /* the end is missing */
			n = at + 1;
		}
	}
	return n;
}

TEST(limits_stay_in_range_whatever_comes)
{
	enum { ROUNDS = 200 * 1000 };
	const weir_nsec longest = 400 * 86400 * WEIR_SEC;
	uint64_t random = 7;
	unsigned known = 0;
	for (int i = 0; i < ROUNDS; i++) {
		char text[400];
		const char *seed = seeds[weir_random_below(&random, sizeof seeds / sizeof *seeds)];
		size_t n = strlen(seed);
		memcpy(text, seed, n);
		n = mutate(text, n, sizeof text, &random);
		struct weir_hint got = hint_of(text, n, NOW);
		quick_assert(got.retry_after >= 0 && got.retry_after <= longest);
		quick_assert(got.window >= 0 && got.window <= longest && got.quota <= 1000000000);
		quick_assert(got.reset >= 0 && got.reset <= longest && got.left <= 1000000000);
		quick_assert(got.quota || !got.window);
		quick_assert(got.counts ? got.reset > 0 : !got.left && !got.reset);
		known += got.quota || got.counts || got.retry_after;
	}
	ck_assert_uint_gt(known, ROUNDS / 4); /* it was not all put aside at once */
}
