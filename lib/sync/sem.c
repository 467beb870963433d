/* SPDX-License-Identifier: MIT */
/*
 * The semaphore: permits that are free, and those who wait for them, strictly first come, first served.
 *
 * Permits go to the head of the list only; as long as it asks for more than there are, those behind it wait, too.  A
 * waiter that gives up may have been what held the others back, so its leaving hands out, too.  One that was given its
 * permits has left the list: a cancel that comes then does not take them back, and the fiber that has them is the one
 * to release them.
 */
#include "rt/fiber.h"

#include <stdlib.h>
#include <weir/sem.h>

struct weir_sem {
	ptrdiff_t available; /* below zero: more were withdrawn than were free */
	struct weir__waitlist waiters;
	size_t inside; /* fibers that wait, or were woken and have not run since: they look at it again */
	uint64_t calls, contended, failed;
};

struct sem_waiter {
	struct weir__waiter waiter;
	size_t n;
};

int weir_sem_new(size_t permits, struct weir_sem **ret_sem)
{
	if (permits > SIZE_MAX / 4)
		return WEIR_EINVAL;
	struct weir_sem *sem = calloc(1, sizeof *sem);
	if (!sem)
		return WEIR_ENOMEM;
	sem->available = (ptrdiff_t)permits;
	TAILQ_INIT(&sem->waiters);
	*ret_sem = sem;
	return 0;
}

void weir__sem_free(const char *here, struct weir_sem *sem)
{
	if (!sem)
		return;
	weir__require(!sem->inside, here, "weir_sem_free: a fiber waits on it, or was woken and has not run since");
	free(sem);
}

weir__function(sem_free, struct weir_sem *);

static void hand_out(struct weir_sem *sem)
{
	struct sem_waiter *first;
	while ((first = (struct sem_waiter *)TAILQ_FIRST(&sem->waiters)) && sem->available > 0 &&
	       first->n <= (size_t)sem->available) {
		sem->available -= (ptrdiff_t)first->n;
		weir__wake(&first->waiter, 0);
	}
}

static __attribute__((noinline)) int wait_for(struct weir_sem *sem, size_t n, weir_nsec deadline)
{
	struct sem_waiter self = {.waiter.what = "semaphore", .n = n};
	sem->contended++;
	sem->inside++;
	int code = weir__wait(&sem->waiters, &self.waiter, deadline);
	sem->inside--;
	if (code) {
		sem->failed++;
		hand_out(sem);
	}
	return code;
}

int weir_sem_acquire(struct weir_sem *sem, size_t n, weir_nsec deadline)
{
	if (weir__unlikely(n == 0))
		return WEIR_EINVAL;
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	sem->calls++;
	if (weir__likely(sem->available > 0 && (size_t)sem->available >= n && TAILQ_EMPTY(&sem->waiters))) {
		sem->available -= (ptrdiff_t)n;
		return 0;
	}
	return wait_for(sem, n, deadline);
}

void weir_sem_release(struct weir_sem *sem, size_t n)
{
	sem->available += (ptrdiff_t)n;
	hand_out(sem);
}

void weir_sem_withdraw(struct weir_sem *sem, size_t n)
{
	sem->available -= (ptrdiff_t)n;
}

size_t weir_sem_available(const struct weir_sem *sem)
{
	return sem->available > 0 ? (size_t)sem->available : 0;
}

void weir_sem_stats(const struct weir_sem *sem, struct weir_sem_stats *ret_stats)
{
	const struct weir__waiter *waiter;
	*ret_stats = (struct weir_sem_stats){.calls = sem->calls, .contended = sem->contended, .failed = sem->failed};
	TAILQ_FOREACH(waiter, &sem->waiters, others)
	{
		ret_stats->waiting++;
	}
}
