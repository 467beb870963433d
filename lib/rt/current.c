/* SPDX-License-Identifier: MIT */
/* What runs on this thread, its loop and its fiber, and what time it is there. */
#include "rt/loop.h"

#include <time.h>

_Thread_local struct weir__loop *weir__loop __attribute__((tls_model("initial-exec")));

struct weir_fiber weir__no_fiber = {.canceled = true, .interrupt = true};

_Thread_local struct weir_fiber *weir__self __attribute__((tls_model("initial-exec"))) = &weir__no_fiber;

static weir_nsec read_monotonic(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * WEIR_SEC + ts.tv_nsec;
}

weir_nsec weir_clock(void)
{
	return weir__loop && weir__loop->is_virtual ? weir__loop->now : read_monotonic();
}

weir_nsec weir_now(void)
{
	return weir__loop ? weir__loop->now : read_monotonic();
}

weir_nsec weir_after(weir_nsec timeout)
{
	weir_nsec now = weir_now();
	if (timeout <= 0 || timeout > INT64_MAX - now)
		return WEIR_FOREVER;
	return now + timeout;
}
