/* SPDX-License-Identifier: MIT */
/* A `weir mock` as a child of this process, on a loopback address of its own. */
#ifndef BENCH_MOCK_H
#define BENCH_MOCK_H

#include <stdint.h>
#include <sys/types.h>
#include <weir/base.h>

#include "bench/bound.h"

struct bench_mock {
	pid_t pid; /* 0: none runs */
	char url[64];
	char listen[32], latency[64], errors[32], seed[32];
	const char *weir;
};

/* Blocks until it listens, 5 s at most.  WEIR_EIO, what the system says. */
int bench_mock_start(struct bench_mock *mock, const char *weir, const struct bench_load *load, uint64_t seed,
		     unsigned place);
int bench_mock_again(struct bench_mock *mock); /* where it was */
void bench_mock_stop(struct bench_mock *mock); /* at once; one that does not run is fine */

#endif
