/* SPDX-License-Identifier: MIT */
/*
 * The limiter: permits (permits.c) and how many there are in all.  What is free is the limit less what is in use, and
 * is below zero after the limit has shrunk: nobody is admitted until enough was released.
 */
#include "sync/permits.h"

#include <stdlib.h>
#include <weir/limiter.h>

struct weir_limiter {
	struct weir__permits permits;
	size_t limit;
};

static void collect(const struct weir_metrics_source *source, union weir_metric_value *ret_values)
{
	const struct weir_limiter *limiter =
		(const struct weir_limiter *)((const char *)source - offsetof(struct weir_limiter, permits.source));
	ret_values[0].gauge = (double)limiter->limit;
	ret_values[1].gauge = (double)weir_limiter_in_use(limiter);
	weir__permits_collect(&limiter->permits, ret_values + 2);
}

static const struct weir_metric_def defs[] = {
	{"weir_limiter_limit", "The limit.", WEIR_GAUGE},
	{"weir_limiter_in_use", "What is in use of the limit.", WEIR_GAUGE},
	WEIR__PERMITS_DEFS("limiter"),
};
static const struct weir_metrics_kind kind = {defs, sizeof defs / sizeof defs[0], collect};

int weir_limiter_new(const struct weir_limiter_options *opts, struct weir_limiter **ret_limiter)
{
	struct weir_limiter *limiter = calloc(1, sizeof *limiter);
	if (!limiter)
		return WEIR_ENOMEM;
	limiter->limit = opts->limit;
	int code = weir__permits_init(&limiter->permits, opts->limit, opts->name, opts->metrics, &kind);
	if (code) {
		free(limiter);
		return code;
	}
	*ret_limiter = limiter;
	return 0;
}

void weir_limiter_free(struct weir_limiter *limiter)
{
	if (!limiter)
		return;
	weir__require(!limiter->permits.inside,
		      "weir_limiter_free() while a fiber waits on it, or was woken and has not run");
	weir__permits_fini(&limiter->permits);
	free(limiter);
}

int weir_limiter_acquire(struct weir_limiter *limiter, size_t n, weir_nsec deadline)
{
	weir__require(n > 0, "weir_limiter_acquire() of nothing");
	return weir__permits_take(&limiter->permits, n, deadline);
}

void weir_limiter_release(struct weir_limiter *limiter, size_t n)
{
	weir__require(n <= weir_limiter_in_use(limiter), "weir_limiter_release() of more than is in use");
	limiter->permits.available += (ptrdiff_t)n;
	weir__permits_hand_out(&limiter->permits);
}

int weir_limiter_resize(struct weir_limiter *limiter, size_t limit)
{
	if (limit > WEIR__PERMITS_MOST)
		return WEIR_EINVAL;
	limiter->permits.available += (ptrdiff_t)limit - (ptrdiff_t)limiter->limit;
	limiter->limit = limit;
	weir__permits_hand_out(&limiter->permits);
	return 0;
}

size_t weir_limiter_limit(const struct weir_limiter *limiter)
{
	return limiter->limit;
}

size_t weir_limiter_in_use(const struct weir_limiter *limiter)
{
	return (size_t)((ptrdiff_t)limiter->limit - limiter->permits.available);
}

void weir_limiter_stats(const struct weir_limiter *limiter, struct weir_sem_stats *ret_stats)
{
	weir__permits_stats(&limiter->permits, ret_stats);
}
