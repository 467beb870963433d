/* SPDX-License-Identifier: MIT */
/*
 * A counting semaphore, fair: permits go to the fiber that has waited longest, and a small request does not overtake
 * a large one.  A fiber that is cancelled after it was given its permits keeps them; the cancel shows at its next call.
 * Calls belong on fibers of the loop that made it.
 *
 * One with a name measures how long its fibers wait and reports itself (metrics.h): weir_sem_available,
 * weir_sem_waiting, weir_sem_calls_total, weir_sem_contended_total, weir_sem_failed_total, weir_sem_wait_seconds.
 */
#ifndef WEIR_SEM_H
#define WEIR_SEM_H

#include <weir/metrics.h>
#include <weir/run.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_sem;

struct weir_sem_options {
	size_t permits;               /* free at first, SIZE_MAX / 4 at most */
	const char *name;             /* copied; NULL: none, nothing is measured or reported */
	struct weir_metrics *metrics; /* where it reports itself; NULL: the registry of the thread, if there is one */
};

/* How a semaphore or a limiter fares. */
struct weir_sem_stats {
	uint64_t calls;     /* of acquire, but for those of a fiber already cancelled */
	uint64_t contended; /* of them, those that did not get their permits at once: they waited or were refused */
	uint64_t failed;    /* of them, those that ended without permits; those that wait count in neither */
	size_t waiting;     /* fibers, now */
	double contention;  /* contended / calls; 0 without calls */
	weir_nsec wait_p50; /* of the calls that waited, whatever their end; all 0 without a name */
	weir_nsec wait_p95;
	weir_nsec wait_p99;
	weir_nsec wait_max;
};

/* WEIR_EINVAL: too many permits; WEIR_ENOMEM. */
WEIR_API int weir_sem_new(size_t permits, struct weir_sem **ret_sem);

/* WEIR_EINVAL: too many permits; WEIR_ENOMEM; WEIR_EBUSY: the registry has other metrics of these names. */
WEIR_API int weir_sem_new_with(const struct weir_sem_options *opts, struct weir_sem **ret_sem);

/* Contract: no fiber waits on it, or was woken or cancelled there and has not run since.  NULL is fine. */
WEIR_API void weir_sem_free(struct weir_sem *sem);

/* Takes n permits (1 or more), all or none; suspends while there are fewer or others wait.
 * WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED: then none was taken. */
WEIR_API int weir_sem_acquire(struct weir_sem *sem, size_t n, weir_nsec deadline);

/* Gives n permits back and hands them to those who wait.  Does not suspend. */
WEIR_API void weir_sem_release(struct weir_sem *sem, size_t n);

/* Permits that are free now. */
WEIR_API size_t weir_sem_available(const struct weir_sem *sem);

WEIR_API void weir_sem_stats(const struct weir_sem *sem, struct weir_sem_stats *ret_stats);

#ifdef __cplusplus
}
#endif
#endif
