/* SPDX-License-Identifier: MIT */
/* Exponential backoff with full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015): pure, apart from the
 * random state that is passed in. */
#include "engine/internal.h"

#include <weir/random.h>

weir_nsec engine_backoff(const struct plan_settings *settings, unsigned attempts, uint64_t *random)
{
	weir_nsec wait = settings->retry_backoff[0], cap = settings->retry_backoff[1];
	for (unsigned i = 1; i < attempts && wait < cap; i++)
		wait *= 2;
	if (wait > cap)
		wait = cap;
	if (settings->retry_jitter == WEIR_JITTER_FULL)
		wait = (weir_nsec)weir_random_below(random, (uint64_t)wait + 1);
	return wait;
}
