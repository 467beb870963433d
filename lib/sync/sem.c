/* SPDX-License-Identifier: MIT */
/* The semaphore: permits that are free, and those who wait for them (permits.c). */
#include "sync/permits.h"

#include <stdlib.h>

struct weir_sem {
	struct weir__permits permits;
};

static void collect(const struct weir_metrics_source *source, union weir_metric_value *ret_values)
{
	const struct weir__permits *permits =
		(const struct weir__permits *)((const char *)source - offsetof(struct weir__permits, source));
	ret_values[0].gauge = (double)permits->available;
	weir__permits_collect(permits, ret_values + 1);
}

static const struct weir_metric_def defs[] = {
	{"weir_sem_available", "Permits that are free.", WEIR_GAUGE},
	WEIR__PERMITS_DEFS("sem"),
};
static const struct weir_metrics_kind kind = {defs, sizeof defs / sizeof defs[0], collect};

int weir_sem_new(size_t permits, struct weir_sem **ret_sem)
{
	return weir_sem_new_with(&(struct weir_sem_options){.permits = permits}, ret_sem);
}

int weir_sem_new_with(const struct weir_sem_options *opts, struct weir_sem **ret_sem)
{
	struct weir_sem *sem = calloc(1, sizeof *sem);
	if (!sem)
		return WEIR_ENOMEM;
	int code = weir__permits_init(&sem->permits, opts->permits, opts->name, opts->metrics, &kind);
	if (code) {
		free(sem);
		return code;
	}
	*ret_sem = sem;
	return 0;
}

void weir_sem_free(struct weir_sem *sem)
{
	if (!sem)
		return;
	weir__require(!sem->permits.inside, "weir_sem_free() while a fiber waits on it, or was woken and has not run");
	weir__permits_fini(&sem->permits);
	free(sem);
}

int weir_sem_acquire(struct weir_sem *sem, size_t n, weir_nsec deadline)
{
	weir__require(n > 0, "weir_sem_acquire() of no permit");
	return weir__permits_take(&sem->permits, n, deadline);
}

void weir_sem_release(struct weir_sem *sem, size_t n)
{
	sem->permits.available += (ptrdiff_t)n;
	weir__permits_hand_out(&sem->permits);
}

size_t weir_sem_available(const struct weir_sem *sem)
{
	return weir__permits_free_now(&sem->permits);
}

void weir_sem_stats(const struct weir_sem *sem, struct weir_sem_stats *ret_stats)
{
	weir__permits_stats(&sem->permits, ret_stats);
}
