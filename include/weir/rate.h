/* SPDX-License-Identifier: MIT */
/*
 * Rates: so many in so much time.
 *
 * `struct weir_rate` is the law alone, pure: the time is an argument, nothing waits.  `struct weir_rate_limiter` makes
 * fibers wait by it.
 *
 *     GCRA     even pacing, one each period / count; after a pause up to `burst` back to back.  (ITU-T I.371, the
 * generic cell rate algorithm: one word of state.)  In any window of length w: at most burst + w * rate. bucket   token
 * bucket of `burst` tokens: the same bound, counted in tokens log      exact: in any window of length `period` at most
 * `count`, however they come; keeps `count` times
 *
 * A fixed window is not offered: it lets twice its count through at its edge.
 *
 * The arithmetic is in whole numbers and nothing drifts: a million at 3/s take a million thirds of a second.  Times are
 * nanoseconds, so the bound holds as finely as those can tell: at most burst + (w + 1 ns) * rate.
 */
#ifndef WEIR_RATE_H
#define WEIR_RATE_H

#include <weir/run.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_rate_kind { WEIR_RATE_GCRA, WEIR_RATE_BUCKET, WEIR_RATE_LOG };

/* 1000/s is {.count = 1000}; 5000 an hour {.count = 5000, .period = 3600 * WEIR_SEC}. */
struct weir_rate_options {
	uint64_t count;   /* 1 to 10^9; as part of other options 0: no rate */
	weir_nsec period; /* 0: 1 s; 365 days at most */
	uint64_t burst;   /* of GCRA and the bucket: maximum back to back; 0: 1; 10^6 at most; of the log it counts for
			     nothing */
	enum weir_rate_kind kind; /* the log: count is 10^6 at most */
};

/* ---- the law */

/* A plain object; its fields are the library's.  A tick is 1 / count of a nanosecond: an item is worth `period` ticks,
 * a nanosecond `count` of them. */
struct weir_rate {
	struct weir_rate_options options; /* with its defaults */
	__extension__ __int128 ticks;     /* GCRA: the theoretical arrival time; bucket: what is in it */
	weir_nsec at;                     /* bucket: as of when; log: the last time */
	weir_nsec *stamps;                /* log: a ring of the last ones */
	uint64_t first, used, room;       /* log */
};

/* WEIR_EINVAL: the options; WEIR_ENOMEM: of the log. */
WEIR_API int weir_rate_init(struct weir_rate *rate, const struct weir_rate_options *opts);
WEIR_API void weir_rate_fini(struct weir_rate *rate); /* one that is all zero is fine */

/* The earliest time at which n may pass together: `now`, or later.  WEIR_FOREVER: never, n is over the burst (the
 * count). */
WEIR_API weir_nsec weir_rate_next(const struct weir_rate *rate, uint64_t n, weir_nsec now);

/* Lets n pass.  Contract: weir_rate_next(rate, n, now) == now. */
WEIR_API void weir_rate_take(struct weir_rate *rate, uint64_t n, weir_nsec now);
WEIR_API void weir__rate_take(const char *here, struct weir_rate *rate, uint64_t n, weir_nsec now);
#define weir_rate_take(...) weir__rate_take(WEIR_HERE, __VA_ARGS__)

/* When all that has passed is paid off, and the whole burst may pass again: with it another one can continue from here
 * (weir_rate_owe).  After n more passed at `at`, a time that weir_rate_next() returned.  Not of the log: 0. */
WEIR_API weir_nsec weir_rate_paid(const struct weir_rate *rate);
WEIR_API weir_nsec weir_rate_paid_after(const struct weir_rate *rate, uint64_t n, weir_nsec at);

/* As if so much had passed that it is not paid off before `until`, but no more than the burst: so a time that makes no
 * sense costs a burst's time at most.  Of the log nothing. */
WEIR_API void weir_rate_owe(struct weir_rate *rate, weir_nsec until, weir_nsec now);

/* Another rate from now on, of the same kind.  What might pass now still may, up to the new burst, and no more: so
 * what has passed counts, and in a window with changes in it pass at most the burst at its beginning and what the rates
 * allow from there on.  A log remembers as many as its largest count so far, which is not enough for a longer period.
 * WEIR_EINVAL, WEIR_ENOMEM: it is as it was. */
WEIR_API int weir_rate_set(struct weir_rate *rate, const struct weir_rate_options *opts, weir_nsec now);

/* ---- waiting by it
 *
 * Fibers run a little later than they were to be woken.  What one that waits is late, 10 ms at most, is made good: the
 * next may go that much sooner after it.  So a rate is reached with a burst of 1, too, and the law holds for the times
 * at which they might have gone.  A burst covers lateness by itself: with one of 1 + 10 ms * rate or more the law holds
 * for the times at which they go. */

struct weir_rate_limiter;

/* As weir_rate_init(). */
WEIR_API int weir_rate_limiter_new(const struct weir_rate_options *opts, struct weir_rate_limiter **ret_limiter);

/* Contract: no fiber waits on it, or was woken or cancelled there and has not run since.  NULL is fine. */
WEIR_API void weir_rate_limiter_free(struct weir_rate_limiter *limiter);
WEIR_API void weir__rate_limiter_free(const char *here, struct weir_rate_limiter *limiter);
#define weir_rate_limiter_free(...) weir__rate_limiter_free(WEIR_HERE, __VA_ARGS__)

/* Suspends until n (1 or more) may pass; fair: first come, first served.  Who waits is charged when it is let through,
 * so giving up costs nothing.  WEIR_EINVAL: n is 0, or over the burst (the count), or is now that it has shrunk;
 * WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED.  Calls belong on fibers of the loop that made it. */
WEIR_API int weir_rate_limiter_acquire(struct weir_rate_limiter *limiter, uint64_t n, weir_nsec deadline);

/* Another rate, for those who wait, too.  Does not suspend.  As weir_rate_set(). */
WEIR_API int weir_rate_limiter_set(struct weir_rate_limiter *limiter, const struct weir_rate_options *opts);

/* Lets nobody through before `until` (a time; one in the past opens it), whatever was said before.  Does not suspend.
 */
WEIR_API void weir_rate_limiter_close(struct weir_rate_limiter *limiter, weir_nsec until);

#ifdef __cplusplus
}
#endif
#endif
