/* SPDX-License-Identifier: MIT */
/*
 * Waiting for permits, strictly first come, first served.  A waiter that gives up may have been what held the others
 * back, so its leaving hands out, too.  One that was given its permits has left the list: a cancel that comes then does
 * not take them back, and the fiber that has them is the one to release them.
 */
#include "sync/permits.h"

#include <stdlib.h>
#include <string.h>

struct permits_waiter {
	struct weir__waiter waiter;
	size_t n;
};

int weir__permits_init(struct weir__permits *permits, size_t available, const char *name, struct weir_metrics *metrics,
		       const struct weir_metrics_kind *kind)
{
	int code = WEIR_ENOMEM;
	if (available > WEIR__PERMITS_MOST)
		return WEIR_EINVAL;
	permits->available = (ptrdiff_t)available;
	if (!name)
		return 0;
	permits->name = strdup(name);
	if (!permits->name || weir_histogram_new(&permits->waits))
		goto fail;
	code = weir_metrics_register(metrics, &permits->source, kind, permits->name);
	if (code)
		goto fail;
	return 0;
fail:
	weir__permits_fini(permits);
	return code;
}

void weir__permits_fini(struct weir__permits *permits)
{
	weir_metrics_unregister(&permits->source);
	weir_histogram_free(permits->waits);
	free(permits->name);
}

void weir__permits_hand_out(struct weir__permits *permits)
{
	struct permits_waiter *first;
	while ((first = (struct permits_waiter *)permits->waiters.head) && permits->available > 0 &&
	       first->n <= (size_t)permits->available) {
		permits->available -= (ptrdiff_t)first->n;
		weir__wake(&first->waiter, 0);
	}
}

int weir__permits_wait(struct weir__permits *permits, size_t n, weir_nsec deadline)
{
	struct permits_waiter self = {.waiter.what = "semaphore", .n = n};
	bool waits = deadline == WEIR_FOREVER || deadline > weir_now();
	weir_nsec since = waits && permits->waits ? weir_clock() : 0;
	permits->contended++;
	permits->inside++;
	int code = weir__wait(&permits->waiters, &self.waiter, deadline);
	permits->inside--;
	if (waits && permits->waits)
		weir_histogram_record(permits->waits, weir_clock() - since);
	if (code) {
		permits->failed++;
		weir__permits_hand_out(permits);
	}
	return code;
}

static size_t count_waiting(const struct weir__permits *permits)
{
	size_t n = 0;
	for (const struct weir__waiter *waiter = permits->waiters.head; waiter; waiter = waiter->next)
		n++;
	return n;
}

void weir__permits_stats(const struct weir__permits *permits, struct weir_sem_stats *ret_stats)
{
	*ret_stats = (struct weir_sem_stats){
		.calls = permits->calls,
		.contended = permits->contended,
		.failed = permits->failed,
		.waiting = count_waiting(permits),
		.contention = permits->calls ? (double)permits->contended / (double)permits->calls : 0,
	};
	if (!permits->waits)
		return;
	ret_stats->wait_p50 = weir_histogram_quantile(permits->waits, 0.5);
	ret_stats->wait_p95 = weir_histogram_quantile(permits->waits, 0.95);
	ret_stats->wait_p99 = weir_histogram_quantile(permits->waits, 0.99);
	ret_stats->wait_max = weir_histogram_max(permits->waits);
}

void weir__permits_collect(const struct weir__permits *permits, union weir_metric_value *ret_values)
{
	ret_values[0].gauge = (double)count_waiting(permits);
	ret_values[1].counter = permits->calls;
	ret_values[2].counter = permits->contended;
	ret_values[3].counter = permits->failed;
	ret_values[4].histogram = permits->waits;
}
