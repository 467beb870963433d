/* SPDX-License-Identifier: MIT */
/* Exponential backoff with full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015): pure, apart from the
 * random state that is passed in. */
#include "engine/internal.h"

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

weir_nsec engine_backoff(const struct plan_settings *settings, unsigned attempts, uint64_t *random)
{
	weir_nsec wait = settings->retry_backoff[0], cap = settings->retry_backoff[1];
	for (unsigned i = 1; i < attempts && wait < cap; i++)
		wait *= 2;
	if (wait > cap)
		wait = cap;
	if (settings->retry_jitter == JITTER_FULL)
		wait = (weir_nsec)(next_random(random) % ((uint64_t)wait + 1));
	return wait;
}
