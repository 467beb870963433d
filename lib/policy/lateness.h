/* SPDX-License-Identifier: MIT */
/*
 * What fibers are late, made good.  A fiber runs a little after it was to be woken, and by a law with a burst of 1 that
 * time would be lost for ever: 1,000/s came to 861/s.  So whoever goes late goes as of the time at which it might have,
 * and who comes right after it is as late.  Never by more than WEIR__LATE_MOST, and not after a pause: an idle time is
 * no lateness.  A burst makes good as much by itself, so only what it does not cover is left to do.
 */
#ifndef POLICY_LATENESS_H
#define POLICY_LATENESS_H

#include <weir/rate.h>

#define WEIR__LATE_MOST (10 * WEIR_MSEC)

struct weir__lateness {
	weir_nsec late; /* of the last one that went */
	weir_nsec went; /* when it did */
};

/* How late n may be that go at once, by this law. */
static inline weir_nsec weir__late_most(const struct weir_rate_options *law, uint64_t n)
{
	uint64_t saved = law->kind == WEIR_RATE_LOG || law->burst < n ? 0 : law->burst - n;
	double covered = (double)saved * (double)law->period / (double)law->count;
	return covered < (double)WEIR__LATE_MOST ? WEIR__LATE_MOST - (weir_nsec)covered : 0;
}

/* As of when the law is to be asked at `now`, for n that ask since then. */
static inline weir_nsec weir__late_from(const struct weir__lateness *lateness, const struct weir_rate_options *law,
					uint64_t n, weir_nsec since, weir_nsec now)
{
	weir_nsec from = since - lateness->went <= WEIR__LATE_MOST ? since - lateness->late : since;
	weir_nsec earliest = now - weir__late_most(law, n);
	return from > earliest ? from : earliest;
}

/* One has gone at `now`, as of `at`. */
static inline void weir__late_went(struct weir__lateness *lateness, weir_nsec at, weir_nsec now)
{
	*lateness = (struct weir__lateness){.late = now - at, .went = now};
}

#endif
