/* SPDX-License-Identifier: MIT */
/*
 * What a job calls: a model on the loop's clock, a `weir mock` of its own over real sockets, or the user's URLs.  All
 * can be gone for a while: then calls under way are cut off and new ones refused.
 */
#ifndef BENCH_UPSTREAM_H
#define BENCH_UPSTREAM_H

#include "bench/bound.h"
#include "bench/result.h"

struct bench_upstream;

struct bench_upstream_options {
	struct bench_load load;
	uint64_t seed;
	bool sockets;      /* else the model */
	const char *weir;  /* the program, for its mock */
	unsigned place;    /* which loopback address it gets; every run another */
	char *const *urls; /* instead of a mock: borrowed */
	size_t url_count;
	bool allow_private; /* of the URLs */
	size_t in_flight;   /* requests */
	weir_nsec timeout;  /* of a request */
};

/* On a fiber.  What the system says, WEIR_ENOMEM; with err->text. */
int bench_upstream_open(const struct bench_upstream_options *opts, struct bench_upstream **ret_upstream,
			struct weir_error *err);
void bench_upstream_close(struct bench_upstream *upstream); /* NULL is fine */

/* One attempt of job `index`.  0: it was answered well; WEIR_EIO with the cause, WEIR_ETIMEDOUT, WEIR_ECANCELED.
 * ret_took: how long it was under way.  Suspends. */
int bench_upstream_call(struct bench_upstream *upstream, uint64_t index, unsigned attempt, weir_nsec *ret_took,
			enum bench_cause *ret_cause, weir_nsec deadline);

/* Takes it away, brings it back.  The second may block for some milliseconds. */
void bench_upstream_down(struct bench_upstream *upstream);
int bench_upstream_up(struct bench_upstream *upstream);

/* The time that the model gives to a job, the same for the same seed and index. */
weir_nsec bench_model_time(const struct bench_load *load, uint64_t seed, uint64_t index);
bool bench_model_fails(const struct bench_load *load, uint64_t seed, uint64_t index, unsigned attempt);

#endif
