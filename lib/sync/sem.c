/* SPDX-License-Identifier: MIT */
/*
 * The semaphore: permits that are free, and a FIFO list of those who wait.  Permits go to the head of the list only; as
 * long as it asks for more than there are, those behind it wait, too.  A waiter that gives up may have been what held
 * the others back, so its leaving hands out, too.
 */
#include "rt/fiber.h"

#include <stdlib.h>
#include <weir/sem.h>

struct weir_sem {
	size_t available;
	struct weir__waitlist waiters;
};

struct sem_waiter {
	struct weir__waiter waiter;
	size_t n;
};

int weir_sem_new(size_t permits, struct weir_sem **ret_sem)
{
	struct weir_sem *sem = calloc(1, sizeof *sem);
	if (!sem)
		return WEIR_ENOMEM;
	sem->available = permits;
	*ret_sem = sem;
	return 0;
}

void weir_sem_free(struct weir_sem *sem)
{
	weir__require(!sem || !sem->waiters.head, "weir_sem_free() while a fiber waits on it");
	free(sem);
}

static void hand_out(struct weir_sem *sem)
{
	struct sem_waiter *first;
	while ((first = (struct sem_waiter *)sem->waiters.head) && first->n <= sem->available) {
		sem->available -= first->n;
		weir__wake(&first->waiter, 0);
	}
}

int weir_sem_acquire(struct weir_sem *sem, size_t n, weir_nsec deadline)
{
	weir__require(n > 0, "weir_sem_acquire() of no permit");
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (sem->available >= n && !sem->waiters.head) {
		sem->available -= n;
		return 0;
	}
	struct sem_waiter self = {.waiter.what = "semaphore", .n = n};
	int code = weir__wait(&sem->waiters, &self.waiter, deadline);
	if (code)
		hand_out(sem);
	return code;
}

void weir_sem_release(struct weir_sem *sem, size_t n)
{
	sem->available += n;
	hand_out(sem);
}

size_t weir_sem_available(const struct weir_sem *sem)
{
	return sem->available;
}
