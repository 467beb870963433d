/* SPDX-License-Identifier: MIT */
/*
 * Waiting by a rate, first come, first served.
 *
 *     line:  [ ] [ ] [ ]  ->  head  ->  through
 *                             |
 *                             the only one with a timer for the rate
 *
 * There is at most one head.  It waits outside the line until the law lets it through, takes, and makes the next of the
 * line the head.  Whoever comes while there is a head queues up, so nobody overtakes.  The head asks the law anew
 * whenever it runs, and takes when it goes through and not before: a changed rate, a closing and a cancel need no more
 * than to wake it.
 *
 * A fiber runs a little later than it was to be woken, and with a burst of 1 what it is late would be lost: 1,000/s
 * came to 861/s.  So who has waited takes as of the time at which it might have, if that is not long ago.
 */
#include "policy/lateness.h"
#include "rt/fiber.h"

#include <stdlib.h>
#include <weir/rate.h>

struct weir_rate_limiter {
	struct weir_rate rate;
	weir_nsec closed_until;
	struct weir__lateness lateness;
	weir_nsec changed; /* when set() or close() was called last: nothing is made good from before */
	struct weir__waitlist line;
	struct weir__waiter *timer; /* the head's, while it waits */
	bool has_head;
	weir_nsec since; /* when that fiber came to be the head */
	size_t inside;   /* fibers that wait, or were woken and have not run since: they look at it again */
};

int weir_rate_limiter_new(const struct weir_rate_options *opts, struct weir_rate_limiter **ret_limiter)
{
	struct weir_rate_limiter *limiter = calloc(1, sizeof *limiter);
	if (!limiter)
		return WEIR_ENOMEM;
	TAILQ_INIT(&limiter->line);
	int code = weir_rate_init(&limiter->rate, opts);
	if (code) {
		free(limiter);
		return code;
	}
	*ret_limiter = limiter;
	return 0;
}

void weir__rate_limiter_free(const char *here, struct weir_rate_limiter *limiter)
{
	if (!limiter)
		return;
	weir__require(!limiter->inside, here,
		      "weir_rate_limiter_free: a fiber waits on it, or was woken and has not run since");
	weir_rate_fini(&limiter->rate);
	free(limiter);
}

weir__function(rate_limiter_free, struct weir_rate_limiter *);

/* Whether n may ever pass together. */
static bool is_possible(const struct weir_rate_limiter *limiter, uint64_t n)
{
	const struct weir_rate_options *opts = &limiter->rate.options;
	return n <= (opts->kind == WEIR_RATE_LOG ? opts->count : opts->burst);
}

/* Takes n, which is possible, if the law allows it now, for one that waits since then: 0, or the time at which it will.
 */
static weir_nsec try_take(struct weir_rate_limiter *limiter, uint64_t n, weir_nsec since, weir_nsec now)
{
	weir_nsec from = weir__late_from(&limiter->lateness, &limiter->rate.options, n, since, now);
	if (from < limiter->changed)
		from = limiter->changed;
	if (from < limiter->closed_until)
		from = limiter->closed_until;
	weir_nsec at = weir_rate_next(&limiter->rate, n, from);
	if (at > now)
		return at;
	weir_rate_take(&limiter->rate, n, at);
	weir__late_went(&limiter->lateness, at, now);
	return 0;
}

static bool has_passed(weir_nsec deadline)
{
	return deadline != WEIR_FOREVER && deadline <= weir_now();
}

static int wait_as_head(struct weir_rate_limiter *limiter, uint64_t n, weir_nsec deadline)
{
	deadline = weir__deadline(deadline);
	for (;;) {
		struct weir__waiter timer = {.what = "rate limiter"};
		if (weir__check_cancel())
			return WEIR_ECANCELED;
		if (!is_possible(limiter, n))
			return WEIR_EINVAL; /* the burst has shrunk */
		weir_nsec at = try_take(limiter, n, limiter->since, weir_clock());
		if (at == 0)
			return 0;
		if (has_passed(deadline))
			return WEIR_ETIMEDOUT;
		limiter->timer = &timer;
		weir__wait(NULL, &timer, deadline != WEIR_FOREVER && deadline < at ? deadline : at);
		limiter->timer = NULL;
	}
}

static void pass_on(struct weir_rate_limiter *limiter)
{
	struct weir__waiter *next = TAILQ_FIRST(&limiter->line);
	limiter->has_head = next != NULL;
	limiter->since = weir_clock();
	if (next)
		weir__wake(next, 0);
}

static int wait_in_line(struct weir_rate_limiter *limiter, uint64_t n, weir_nsec deadline)
{
	struct weir__waiter waiter = {.what = "rate limiter"};
	int code = 0;
	limiter->inside++;
	if (limiter->has_head)
		code = weir__wait(&limiter->line, &waiter, deadline);
	else
		limiter->has_head = true;
	if (code == 0) {
		code = wait_as_head(limiter, n, deadline);
		pass_on(limiter);
	}
	limiter->inside--;
	return code;
}

int weir_rate_limiter_acquire(struct weir_rate_limiter *limiter, uint64_t n, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (n == 0 || !is_possible(limiter, n))
		return WEIR_EINVAL;
	weir_nsec now = weir_clock();
	if (!limiter->has_head && try_take(limiter, n, now, now) == 0)
		return 0;
	if (deadline == WEIR_TRY)
		return WEIR_EAGAIN;
	if (!limiter->has_head)
		limiter->since = now;
	return wait_in_line(limiter, n, deadline);
}

/* The head is to ask again. */
static void wake_head(struct weir_rate_limiter *limiter)
{
	if (limiter->timer && weir__waits(limiter->timer))
		weir__wake(limiter->timer, 0);
}

int weir_rate_limiter_set(struct weir_rate_limiter *limiter, const struct weir_rate_options *opts)
{
	weir_nsec now = weir_clock();
	int code = weir_rate_set(&limiter->rate, opts, now);
	if (code)
		return code;
	limiter->changed = now;
	wake_head(limiter);
	return 0;
}

void weir_rate_limiter_close(struct weir_rate_limiter *limiter, weir_nsec until)
{
	limiter->closed_until = until;
	limiter->changed = weir_clock();
	wake_head(limiter);
}
