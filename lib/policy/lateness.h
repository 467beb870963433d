/* SPDX-License-Identifier: MIT */
/*
 * What fibers are late, made good.  A fiber runs a little after it was to be woken, and by a law with a burst of 1 that
 * time would be lost for ever: 1,000/s came to 861/s.  So whoever goes late goes as of the time at which it might have,
 * and who comes right after it is as late.  Never by more than WEIR__LATE_MOST, and not after a pause: an idle time is
 * no lateness.
 */
#ifndef POLICY_LATENESS_H
#define POLICY_LATENESS_H

#include <weir/base.h>

#define WEIR__LATE_MOST (10 * WEIR_MSEC)

struct weir__lateness {
	weir_nsec late; /* of the last one that went */
	weir_nsec went; /* when it did */
};

/* As of when the law is to be asked at `now`, for one that asks since then. */
static inline weir_nsec weir__late_from(const struct weir__lateness *lateness, weir_nsec since, weir_nsec now)
{
	weir_nsec from = since - lateness->went <= WEIR__LATE_MOST ? since - lateness->late : since;
	return from > now - WEIR__LATE_MOST ? from : now - WEIR__LATE_MOST;
}

/* One has gone at `now`, as of `at`. */
static inline void weir__late_went(struct weir__lateness *lateness, weir_nsec at, weir_nsec now)
{
	*lateness = (struct weir__lateness){.late = now - at, .went = now};
}

#endif
