/* SPDX-License-Identifier: MIT */
/*
 * What is run, and what was published of it.  The figures are those of articles on asynchronous jobs in Python; they
 * are shown beside what arithmetic allows, and nothing here is tuned towards them.
 */
#ifndef BENCH_SCENARIO_H
#define BENCH_SCENARIO_H

#include <weir/process.h>

#include "bench/bound.h"

/* All zero: nothing. */
struct bench_published {
	double per_sec;
	double seconds; /* instead of per_sec */
	weir_nsec p95;
	double memory_bytes;
	double cpu; /* share of one core */
	const char *recovery;
	double failed; /* share of the jobs */
};

enum bench_kind {
	BENCH_PROCESS, /* weir_process() in a pattern */
	/* 100,000 sleeps on the library's own parts: */
	BENCH_WAVES,    /* batches */
	BENCH_IN_TASK,  /* all fibers made first, the permit inside */
	BENCH_CALLBACK, /* the permit before the fiber, given back by a callback */
	BENCH_AT_END,   /* the permit before the fiber, given back at its end */
	/* Rows in a database: */
	BENCH_POSTGRES, /* by a pipeline in a pattern, into PostgreSQL */
	BENCH_FLEET,    /* by a pipeline that several processes share, with a queue in Redis, into PostgreSQL */
	BENCH_SQLITE,   /* by a pipeline in a pattern, into SQLite */
	BENCH_COPY,     /* by COPY, without a call */
};

struct bench_variant {
	const char *name, *text;
	enum bench_kind kind;
	enum weir_pattern pattern; /* of PROCESS */
	struct bench_shape shape;  /* of all processes together */
	unsigned processes;        /* of POSTGRES and FLEET, which share the jobs; 0: one */
	struct bench_published published;
};

/* Which figures are published, and how memory is measured. */
enum bench_form {
	BENCH_FORM_RATES,  /* resident bytes above those at the start */
	BENCH_FORM_HEAP,   /* the same; that published is of Python's heap alone */
	BENCH_FORM_ORDERS, /* all memory of all processes (PSS) */
};

struct bench_scenario {
	const char *name, *title;
	struct bench_load load; /* the articles' own: figures are judged by it */
	const struct bench_variant *variants;
	size_t count;
	enum bench_form form;
};

extern const struct bench_scenario bench_patterns, bench_quick, bench_backpressure, bench_backpressure_narrow,
	bench_orders;

/* By name; NULL: there is none.  A few names that users may know patterns by are taken, too. */
const struct bench_variant *bench_find_variant(const struct bench_scenario *scenario, const char *name);

/* What the article's figure means: jobs a second, 0 if nothing is published. */
double bench_published_per_sec(const struct bench_scenario *scenario, const struct bench_variant *variant);

void bench_judge_variant(const struct bench_scenario *scenario, const struct bench_variant *variant,
			 struct bench_judgement *ret_judgement);

#endif
