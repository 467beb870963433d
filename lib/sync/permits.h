/* SPDX-License-Identifier: MIT */
/*
 * Permits and those who wait for them: what the semaphore and the limiter share.  Private to sem.c and limiter.c.
 *
 * Permits go to the head of the list only; as long as it asks for more than there are, those behind it wait, too.
 */
#ifndef SYNC_PERMITS_H
#define SYNC_PERMITS_H

#include "rt/fiber.h"

#include <weir/sem.h>

struct weir__permits {
	ptrdiff_t available; /* below zero: a limit has shrunk below what is in use */
	struct weir__waitlist waiters;
	size_t inside; /* fibers that wait, or were woken and have not run since: they look at it again */
	uint64_t calls, contended, failed;
	struct weir_histogram *waits; /* of one with a name, else NULL: then no clock is read */
	char *name;
	struct weir_metrics_source source;
};

#define WEIR__PERMITS_MOST (SIZE_MAX / 4)

/* Sets up one that is all zero, and registers it if it has a name.  WEIR_EINVAL: more than WEIR__PERMITS_MOST;
 * WEIR_ENOMEM, WEIR_EBUSY. */
int weir__permits_init(struct weir__permits *permits, size_t available, const char *name, struct weir_metrics *metrics,
		       const struct weir_metrics_kind *kind);
void weir__permits_fini(struct weir__permits *permits);

/* The way of those who do not get their permits at once. */
int weir__permits_wait(struct weir__permits *permits, size_t n, weir_nsec deadline);

/* Gives what is free to those who wait. */
void weir__permits_hand_out(struct weir__permits *permits);

void weir__permits_stats(const struct weir__permits *permits, struct weir_sem_stats *ret_stats);

/* The caller has seen to it that n is not 0. */
static inline int weir__permits_take(struct weir__permits *permits, size_t n, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	permits->calls++;
	if (weir__likely(permits->available > 0 && (size_t)permits->available >= n && !permits->waiters.head)) {
		permits->available -= (ptrdiff_t)n;
		return 0;
	}
	return weir__permits_wait(permits, n, deadline);
}

/* What is free; nothing while it is below zero. */
static inline size_t weir__permits_free_now(const struct weir__permits *permits)
{
	return permits->available > 0 ? (size_t)permits->available : 0;
}

/* The rows that each kind of permits reports, behind its own; `what` is "sem" or "limiter". */
#define WEIR__PERMITS_DEFS(what)                                                                                       \
	{"weir_" what "_waiting", "Fibers that wait for permits.", WEIR_GAUGE},                                        \
		{"weir_" what "_calls_total", "Calls that asked for permits.", WEIR_COUNTER},                          \
		{"weir_" what "_contended_total", "Calls that did not get their permits at once.", WEIR_COUNTER},      \
		{"weir_" what "_failed_total", "Calls that ended without permits.", WEIR_COUNTER},                     \
	{                                                                                                              \
		"weir_" what "_wait_seconds", "How long fibers waited for permits.", WEIR_HISTOGRAM                    \
	}

/* Fills in those rows. */
void weir__permits_collect(const struct weir__permits *permits, union weir_metric_value *ret_values);

#endif
