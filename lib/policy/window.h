/* SPDX-License-Identifier: MIT */
/*
 * The results of the last calls, for a breaker: of the last so many, in a ring, or of the last so much time, in ten
 * buckets, of which those that lie in the last ten count: what is counted is between 9/10 of that time and the whole of
 * it old.  Pure.
 */
#ifndef POLICY_WINDOW_H
#define POLICY_WINDOW_H

#include <weir/base.h>

enum { WEIR__BUCKETS = 10 };

struct weir__tally {
	unsigned calls, failed, slow;
	unsigned errors; /* of the failed */
};

struct weir__bucket {
	int64_t number; /* its time / the width of a bucket */
	struct weir__tally tally;
};

struct weir__window {
	weir_nsec time;                             /* its length … */
	unsigned calls;                             /* … or, if not 0, so many calls, in the ring */
	struct weir__bucket buckets[WEIR__BUCKETS]; /* number n is at n % WEIR__BUCKETS */
	struct weir__tally tally;                   /* of the ring */
	unsigned next;                              /* place in it */
	uint8_t *ring;
};

/* One call. */
void weir__window_add(struct weir__window *window, const struct weir__tally *result, weir_nsec now);
struct weir__tally weir__window_sum(const struct weir__window *window, weir_nsec now);
void weir__window_clear(struct weir__window *window);

#endif
