/* SPDX-License-Identifier: MIT */
/*
 * What arithmetic allows.  Little's law: jobs a second = jobs under way / mean time of a job (J. Little, "A Proof for
 * the Queuing Formula L = lambda W", 1961).  Pure.
 *
 * A shape is how jobs are let through; a load is how many there are and how long each takes, uniformly from `low` to
 * `high`.  50 at once, 10 ms to 3 s: no more than 50 / 0.01 s = 5,000/s whatever the times between are, and 50 / 1.505
 * s = 33/s if they are uniform.
 */
#ifndef BENCH_BOUND_H
#define BENCH_BOUND_H

#include <weir/base.h>

enum bench_law {
	BENCH_LAW_LIMIT,   /* so many at once */
	BENCH_LAW_BATCHES, /* so many at a time, the next when the last of them has ended */
	BENCH_LAW_RATE,    /* so many starts a second, and so many at once */
	BENCH_LAW_ONCE,    /* all at once */
};

struct bench_shape {
	enum bench_law law;
	size_t concurrency; /* of ONCE it counts for nothing */
	double per_sec;     /* of RATE */
};

struct bench_load {
	uint64_t jobs;
	weir_nsec low, high; /* low 0: no least time is known */
	double errors;       /* share of attempts */
};

/* Jobs a second; INFINITY: any. */
struct bench_bound {
	double minimum; /* if each took the least time there is */
	double steady;  /* in the range, without beginning and end */
	double whole;   /* in the range, from the first start to the last end ... */
	double seconds; /* ... which this is, on average */
};

void bench_bound(const struct bench_shape *shape, const struct bench_load *load, struct bench_bound *ret_bound);

/* The average of the largest of n times of the load, in seconds. */
double bench_slowest_of(const struct bench_load *load, uint64_t n);

enum bench_verdict {
	BENCH_NOT_PUBLISHED,
	BENCH_CONSISTENT,
	BENCH_IMPOSSIBLE_IN_RANGE,
	BENCH_IMPOSSIBLE,
};

const char *bench_verdict_name(enum bench_verdict verdict);

/* A published figure against the bound. */
struct bench_judgement {
	enum bench_verdict verdict;
	double limit;      /* jobs a second, by the assumption */
	char because[160]; /* the assumption, one clause */
};

/* per_sec 0: nothing is published.  p95: the published one, 0 if there is none. */
void bench_judge(const struct bench_shape *shape, const struct bench_load *load, double per_sec, weir_nsec p95,
		 struct bench_judgement *ret_judgement);

#endif
