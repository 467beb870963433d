/* SPDX-License-Identifier: MIT */
/*
 * One run of one variant, in a process of its own: so that its memory and its processor time are its own, and what it
 * leaves behind does not meet the next.
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "bench/result.h"
#include "bench/scenario.h"

struct bench_database;
struct bench_meter;
struct bench_upstream;

struct bench_plan {
	const struct bench_scenario *scenario;
	struct bench_load load; /* of this run */
	bool model;             /* time is virtual */
	bool recovery;          /* jobs for as long as it takes, a fault in the middle, retries */
	const char *weir;       /* the program, for its mock */
	char *const *urls;      /* the user's own; NULL: a mock */
	size_t url_count;
	weir_nsec duration;                    /* of own URLs; 0: each once */
	const struct bench_database *database; /* of orders */
	bool allow_private;
	uint64_t seed;
	unsigned place; /* a number that no other run of this process has */
};

/* How a job of a variant is made and measured. */
struct bench_run {
	const struct bench_plan *plan;
	const struct bench_variant *variant;
	struct bench_shape shape; /* the variant's, as far as descriptors allow it */
	struct bench_bound bound;
	struct bench_result *result;
	struct bench_meter *meter;
	struct bench_upstream *upstream;
	bool stopping; /* no more jobs */
};

/* Blocks until it is over.  What went wrong is in the result: its code and note. */
void bench_run(const struct bench_plan *plan, const struct bench_variant *variant, struct bench_result *ret_result);

/* The three kinds of runs.  0 or what ended them.  The first two are for fibers, the third blocks. */
int bench_run_process(struct bench_run *run);
int bench_run_permits(struct bench_run *run);
int bench_run_orders(struct bench_run *run);

#endif
