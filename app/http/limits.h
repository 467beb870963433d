/* SPDX-License-Identifier: MIT */
/*
 * What the headers of an answer state about the server's limits.  Pure: the wall clock is a parameter.
 *
 *     Retry-After: 7, or an HTTP date in any of its three forms                RFC 9110, 10.2.3
 *     RateLimit-Policy: "burst";q=100;w=60, "daily";q=1000;w=86400             draft-ietf-httpapi-ratelimit-headers-10
 *     RateLimit: "burst";r=50;t=30
 *     RateLimit: limit=100, remaining=50, reset=30                             the same, -07
 *     RateLimit-Limit: 100, 100;w=60   RateLimit-Remaining   RateLimit-Reset   the same, -03
 *     X-RateLimit-Limit, -Remaining, -Reset; X-Rate-Limit-…                    no standard: GitHub, X, Envoy, …
 *     X-RateLimit-Limit-Requests, -Tokens; -Minute, …; X-RateLimit-Reset-After OpenAI and Groq; Kong; Discord
 *     Anthropic-RateLimit-Requests-Limit, -Tokens-Remaining, …                 Anthropic
 *     X-HubSpot-RateLimit-Max, -Remaining, -Interval-Milliseconds; -Daily, …   HubSpot
 *     X-Shopify-Shop-Api-Call-Limit: 32/40                                     Shopify: a bucket that leaks empty in 20
 * s Retry-After-Ms, X-Ms-Retry-After-Ms: 2000                                OpenAI, Azure
 *
 * A time is a number of seconds, a duration (6m0s, 20ms), or a point in time: RFC 3339, or a Unix time in s, ms, µs or
 * ns, as its size tells.  A point in time is taken against the answer's own Date, so that a clock that is wrong here
 * does no harm.
 *
 * Where several limits are stated the strictest counts: the lowest rate.  A limit of something else than requests
 * (tokens, bytes) counts only while nothing of it is left.  What makes no sense is as if it were not there, a
 * Reset more than 400 days away, too; another time is cut to as much, a number to 10^9 requests.
 */
#ifndef HTTP_LIMITS_H
#define HTTP_LIMITS_H

#include <stddef.h>
#include <weir/outcome.h>

#define HTTP_LIMITS_MOST  4                      /* values of a header; more in one answer are not read */
#define HTTP_LIMITS_NAMES 6                      /* policies, and states, likewise */
#define HTTP_LIMITS_LONG  ((int64_t)400 * 86400) /* s */
#define HTTP_LIMITS_QUOTA ((int64_t)1000 * 1000 * 1000)

/* Values of one header, in the order they came in. */
struct http_limits_row {
	unsigned n;
	int64_t values[HTTP_LIMITS_MOST]; /* thousandths */
};

struct http_limits_triple {
	struct http_limits_row limit, remaining, reset;
};

/* Lines add to it, one after the other.  All zero: none came. */
struct http_limits {
	bool any;
	unsigned policies, states;
	struct http_limits_policy {
		uint32_t name;           /* a hash */
		bool other;              /* it does not count requests */
		int64_t quota, window_s; /* 0: not stated */
	} policy[HTTP_LIMITS_NAMES];
	struct http_limits_state {
		uint32_t name;
		int64_t left, reset; /* as in a row; -1: not stated */
	} state[HTTP_LIMITS_NAMES];
	struct http_limits_triple plain, x;  /* RateLimit-…; X-RateLimit-… */
	char date[40];                       /* as it came, since few answers need it */
	int64_t retry_after, retry_after_at; /* thousandths of a second: from now, a point in time; 0: none */
};

/* A line "Name: value", with or without its end; of any header: most are put aside at a look at the first letter. */
void http_limits_line(struct http_limits *limits, const char *line, size_t bytes);

/* The answer's Date as Unix time; 0: it has none. */
int64_t http_limits_date(const struct http_limits *limits);

/* What all lines state together; wall_seconds is the Unix time. */
void http_limits_hint(const struct http_limits *limits, int64_t wall_seconds, struct weir_hint *ret_hint);

#endif
