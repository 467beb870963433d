/* SPDX-License-Identifier: MIT */
/*
 * A limit on how much is under way at once that can be changed while it is in use.  Fair like the semaphore (sem.h),
 * whose waiting it shares; what it adds is that it knows what is in use, so that the limit can move: growing lets those
 * who wait in at once, shrinking takes nothing away but admits nobody until enough was released.  Calls belong on
 * fibers of the loop that made it.
 *
 * One with a name measures how long its fibers wait and reports itself (metrics.h): weir_limiter_limit,
 * weir_limiter_in_use, weir_limiter_waiting, weir_limiter_calls_total, weir_limiter_contended_total,
 * weir_limiter_failed_total, weir_limiter_wait_seconds.
 */
#ifndef WEIR_LIMITER_H
#define WEIR_LIMITER_H

#include <weir/sem.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_limiter;

struct weir_limiter_options {
	size_t limit;     /* most in use at once, SIZE_MAX / 4 at most; 0: none is admitted until it grows */
	const char *name; /* copied; NULL: none, nothing is measured or reported */
	struct weir_metrics *metrics; /* where it reports itself; NULL: the registry of the thread, if there is one */
};

/* WEIR_EINVAL: the limit; WEIR_ENOMEM; WEIR_EBUSY: the registry has other metrics of these names. */
WEIR_API int weir_limiter_new(const struct weir_limiter_options *opts, struct weir_limiter **ret_limiter);

/* Contract: no fiber waits on it, or was woken or cancelled there and has not run since.  NULL is fine. */
WEIR_API void weir_limiter_free(struct weir_limiter *limiter);

/* Takes n (1 or more) of the limit, all or nothing; suspends while less is free or others wait, with n over the limit
 * until it has grown.  WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED: then nothing was taken. */
WEIR_API int weir_limiter_acquire(struct weir_limiter *limiter, size_t n, weir_nsec deadline);

/* Gives n back.  More than is in use is a broken contract.  Does not suspend. */
WEIR_API void weir_limiter_release(struct weir_limiter *limiter, size_t n);

/* Changes the limit.  Does not suspend.  WEIR_EINVAL: over SIZE_MAX / 4. */
WEIR_API int weir_limiter_resize(struct weir_limiter *limiter, size_t limit);

WEIR_API size_t weir_limiter_limit(const struct weir_limiter *limiter);

/* What is in use now; over the limit for a while after that has shrunk. */
WEIR_API size_t weir_limiter_in_use(const struct weir_limiter *limiter);

WEIR_API void weir_limiter_stats(const struct weir_limiter *limiter, struct weir_sem_stats *ret_stats);

#ifdef __cplusplus
}
#endif
#endif
