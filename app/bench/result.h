/* SPDX-License-Identifier: MIT */
/* What one run of one variant came to.  A plain object: it goes through a pipe. */
#ifndef BENCH_RESULT_H
#define BENCH_RESULT_H

#include <weir/base.h>

/* Why an attempt failed: field, name. */
#define BENCH_CAUSES(X)                                                                                                \
	X(SERVER, "status 5xx")                                                                                        \
	X(THROTTLED, "status 429")                                                                                     \
	X(CLIENT, "other 4xx")                                                                                         \
	X(TIMEOUT, "timeout")                                                                                          \
	X(CONNECT, "connect")                                                                                          \
	X(RESET, "reset")                                                                                              \
	X(DATABASE, "database")                                                                                        \
	X(OTHER, "other")

enum bench_cause {
#define BENCH_X(name, text) BENCH_CAUSE_##name,
	BENCH_CAUSES(BENCH_X)
#undef BENCH_X
		BENCH_CAUSE_COUNT
};

const char *bench_cause_name(enum bench_cause cause);

/* Values at equal steps of time; when all places are full, neighbours are put together and the step doubles. */
enum { BENCH_SERIES_PLACES = 1024 };

struct bench_series {
	weir_nsec step;
	size_t used;
	double value[BENCH_SERIES_PLACES];
};

void bench_series_add(struct bench_series *series, weir_nsec at, double value);  /* sums: counts in each step */
void bench_series_most(struct bench_series *series, weir_nsec at, double value); /* the largest in each step */

struct bench_times {
	weir_nsec mean, p50, p95, p99, most;
};

/* From the end of a fault until the work goes on as before. */
struct bench_recovery {
	bool tried;
	weir_nsec from, to;  /* the fault, from the start of the run */
	double before;       /* jobs well done a second before it */
	weir_nsec took;      /* until 90 % of that; -1: not within the run */
	uint64_t hit, saved; /* jobs with an attempt that failed; of them, those that ended well */
};

struct bench_result {
	int code;       /* negative: it was ended by this */
	char note[200]; /* what else must be known; may be empty */
	uint64_t jobs, succeeded, failed, attempts;
	uint64_t errors[BENCH_CAUSE_COUNT]; /* of attempts */
	weir_nsec took;                     /* on the clock that counts: the model's with --virtual */
	weir_nsec real_took;
	double cpu_seconds;
	struct bench_times service;    /* an attempt, from its sending to its end */
	struct bench_times response;   /* a job, from when it was due to its end */
	size_t in_flight;              /* most jobs that were in an attempt together */
	double idle_bytes;             /* resident before the run */
	double peak_bytes, mean_bytes; /* above that */
	struct bench_series memory;    /* above idle */
	struct bench_series ended;     /* jobs well done in each step */
	struct bench_recovery recovery;
};

/* Fills before and took: `good` counts jobs well done.  warm: what of the time before the fault does not count;
 * window: over which the rate after it is taken. */
void bench_recovery_find(const struct bench_series *good, weir_nsec warm, weir_nsec window,
			 struct bench_recovery *recovery);

#endif
