/* SPDX-License-Identifier: MIT */
/*
 * A counting semaphore, fair: permits go to the fiber that has waited longest, and a small request does not overtake
 * a large one.  A fiber that is cancelled after it was given its permits keeps them; the cancel shows at its next call.
 * How many permits there are can change while they are in use.  Calls belong on fibers of the loop that made it.
 */
#ifndef WEIR_SEM_H
#define WEIR_SEM_H

#include <weir/run.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_sem;

/* How a semaphore fares: contended / calls is its contention. */
struct weir_sem_stats {
	uint64_t calls;     /* of acquire, but for those of a fiber already cancelled */
	uint64_t contended; /* of them, those that did not get their permits immediately: they waited or were refused */
	uint64_t failed;    /* of them, those that ended without permits; those that wait count in neither */
	size_t waiting;     /* fibers, now */
};

/* With so many permits free at first, SIZE_MAX / 4 at most.  WEIR_EINVAL: too many; WEIR_ENOMEM. */
WEIR_API int weir_sem_new(size_t permits, struct weir_sem **ret_sem);

/* Contract: no fiber waits on it, or was woken or cancelled there and has not run since.  NULL is fine. */
WEIR_API void weir_sem_free(struct weir_sem *sem);
WEIR_API void weir__sem_free(const char *here, struct weir_sem *sem);
#define weir_sem_free(...) weir__sem_free(WEIR_HERE, __VA_ARGS__)

/* Takes n permits (1 or more), all or none; suspends while there are fewer or others wait.
 * WEIR_EINVAL (n is 0), WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED: then none was taken. */
WEIR_API int weir_sem_acquire(struct weir_sem *sem, size_t n, weir_nsec deadline);

/* Gives n permits back, or adds n new ones, and hands them to those who wait.  Does not suspend. */
WEIR_API void weir_sem_release(struct weir_sem *sem, size_t n);

/* Takes n permits out of use for good, those of fibers that hold them too: nobody gets any until as many were released.
 * Does not suspend. */
WEIR_API void weir_sem_withdraw(struct weir_sem *sem, size_t n);

/* Permits that are free now. */
WEIR_API size_t weir_sem_available(const struct weir_sem *sem);

WEIR_API void weir_sem_stats(const struct weir_sem *sem, struct weir_sem_stats *ret_stats);

#ifdef __cplusplus
}
#endif
#endif
