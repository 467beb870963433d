/* SPDX-License-Identifier: MIT */
/*
 * What the upstream can take: a limit on the rate that may change, a hidden limit on requests at once, a number of
 * workers, outages.  Pure: the time is passed in; times in options count from the first request on.
 *
 *     ask -> enter -> work -> ... the answer ... -> leave
 *
 * With W workers it is a link of fixed width: a request waits in line for a worker and is worked on for its latency.
 * Latency grows by itself when more come than W / latency, and falls again when the line is short.  A client that gives
 * up does not free its worker: few servers notice.
 */
#ifndef MOCK_CAPACITY_H
#define MOCK_CAPACITY_H

#include "bucket.h"

enum { MOCK_STEPS = 32, MOCK_OUTAGES = 32, MOCK_WORKERS = 100000 };

/* How it is set. */
struct mock_capacity_plan {
	size_t steps; /* of the limit, in order of time */
	struct mock_step {
		weir_nsec from;
		struct mock_bucket limit;
	} step[MOCK_STEPS];
	size_t outages;
	struct mock_outage {
		weir_nsec from, to;
		int status;
	} outage[MOCK_OUTAGES];
	size_t max_in_flight; /* 0: no limit */
	int in_flight_status;
	size_t workers; /* 0: as many as there are requests */
};

/* The options' texts.  WEIR_EINVAL with err->text. */
int mock_capacity_limit(struct mock_capacity_plan *plan, const char *text, struct weir_error *err);  /* LIMIT[@TIME] */
int mock_capacity_outage(struct mock_capacity_plan *plan, const char *text, struct weir_error *err); /* A..B[:STATUS] */
int mock_capacity_in_flight(struct mock_capacity_plan *plan, const char *text, struct weir_error *err); /* N[:STATUS] */

struct mock_capacity {
	const struct mock_capacity_plan *plan;
	bool begun;
	weir_nsec began;
	size_t next_step;
	struct mock_bucket limit;
	size_t in_flight, max_in_flight;
	uint64_t queued;    /* requests that found no worker free */
	weir_nsec *free_at; /* of each worker: a heap, the earliest at the top */
};

/* WEIR_ENOMEM. */
int mock_capacity_init(struct mock_capacity *capacity, const struct mock_capacity_plan *plan);
void mock_capacity_fini(struct mock_capacity *capacity);

enum mock_refusal { MOCK_TAKEN, MOCK_IN_OUTAGE, MOCK_TOO_MANY_AT_ONCE, MOCK_OVER_LIMIT };

/* A request comes.  Refused: with which status, and when there will be room (0: that cannot be told). */
enum mock_refusal mock_capacity_ask(struct mock_capacity *capacity, weir_nsec now, int *ret_status,
				    weir_nsec *ret_wait);

/* When work that takes so long will be done, by the first worker that is free: so long from now. */
weir_nsec mock_capacity_work(struct mock_capacity *capacity, weir_nsec takes, weir_nsec now);

/* Of a request that was taken, until its answer is sent. */
void mock_capacity_enter(struct mock_capacity *capacity);
void mock_capacity_leave(struct mock_capacity *capacity);

#endif
