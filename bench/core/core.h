/* SPDX-License-Identifier: MIT */
/* What the measurements of bench-core share. */
#ifndef BENCH_CORE_H
#define BENCH_CORE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <weir/weir.h>

/* The amount of work is divided by it, for a quick look; 1 otherwise. */
extern uint64_t share;

/* Ends the program when result is an error. */
void must(int result, const char *what);

double seconds_since(weir_nsec start);

/* Prints a figure. */
void figure(const char *name, double value, const char *unit);

/* User and system time of this process so far. */
double cpu_seconds(void);

/* The sleeps of sleep500, the same in every run and for every peer; 128 is a seed with the mean bound, 6.122 s. */
enum { SLEEP500_SEED = 128 };
weir_nsec sleep500_next(uint64_t *state);

/* Measurements; each runs on the first fiber of a loop in a process of its own. */
void bench_switch(void);
void bench_switch_1000(void);
void bench_queue_1x1(void);
void bench_queue_cap1(void);
void bench_queue_4x50(void);
void bench_spawn(void);
void bench_sleeper_bytes_10k(void);
void bench_sleeper_bytes_100k(void);
void bench_sleeper_bytes_1m(void);
void bench_sleepers_1m(void);
void bench_sleep500(void);
void bench_sleep500_bound(void);
void bench_sleep500_bare(void);
void bench_flow(void);

#endif
