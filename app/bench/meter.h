/* SPDX-License-Identifier: MIT */
/*
 * Counts what happens in a run while it happens.  Memory is what is resident, stacks and all, above what was resident
 * when the meter was started; a fiber looks at it now and then for the mean and the line, the kernel keeps the peak.
 */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <weir/histogram.h>

#include "bench/result.h"

struct weir_group;

struct bench_meter {
	struct bench_result *result;
	struct weir_histogram *service, *response;
	struct weir_group *group;
	weir_nsec start, real_start;
	weir_nsec every; /* looks at memory */
	double cpu_start;
	double due_each; /* ns from one job's due time to the next one's; 0: all were due at the start */
	size_t in_attempt;
	double memory_sum;
	uint64_t looks;
	bool peak_known;
};

/* On a fiber.  per_sec: how many jobs a second are due; 0 or INFINITY: all at the start.  WEIR_ENOMEM. */
int bench_meter_start(struct bench_meter *meter, double per_sec, weir_nsec every, struct bench_result *result);
void bench_meter_stop(struct bench_meter *meter); /* fills in the rest of the result */

void bench_meter_begin(struct bench_meter *meter); /* an attempt */
void bench_meter_end(struct bench_meter *meter, weir_nsec took, int code, enum bench_cause cause);

/* A job has ended.  began: its first attempt, from the start.  due: when it should have begun, negative: by its number;
 * one that began earlier counts from then. */
void bench_meter_job(struct bench_meter *meter, uint64_t index, weir_nsec began, weir_nsec due, bool well);

weir_nsec bench_meter_now(const struct bench_meter *meter); /* from the start */

#endif
