/* SPDX-License-Identifier: MIT */
/*
 * A counting semaphore, fair: permits go to the fiber that has waited longest, and a small request does not overtake
 * a large one.  A fiber that is cancelled after it was given its permits keeps them; the cancel shows at its next call.
 * Calls belong on fibers of the loop that made it.
 */
#ifndef WEIR_SEM_H
#define WEIR_SEM_H

#include <weir/run.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_sem;

/* WEIR_ENOMEM. */
WEIR_API int weir_sem_new(size_t permits, struct weir_sem **ret_sem);

/* Contract: no fiber waits on it.  NULL is fine. */
WEIR_API void weir_sem_free(struct weir_sem *sem);

/* Takes n permits (1 or more), all or none; suspends while there are fewer or others wait.
 * WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED: then none was taken. */
WEIR_API int weir_sem_acquire(struct weir_sem *sem, size_t n, weir_nsec deadline);

/* Gives n permits back and hands them to those who wait.  Does not suspend. */
WEIR_API void weir_sem_release(struct weir_sem *sem, size_t n);

/* Permits that are free now. */
WEIR_API size_t weir_sem_available(const struct weir_sem *sem);

#ifdef __cplusplus
}
#endif
#endif
