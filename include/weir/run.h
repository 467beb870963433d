/* SPDX-License-Identifier: MIT */
/*
 * Running fibers on a loop: start it, sleep, yield, tell the time, be cancelled.
 *
 * weir_run() turns the calling thread into a loop and runs a first fiber on it; that fiber starts others in groups
 * (group.h).  Fibers are co-operative, belong to their loop for life and end only by returning.  All calls below but
 * weir_run() and weir_clock() belong on a fiber.
 *
 * Cancellation is an error return.  After a fiber was cancelled each of its calls with a deadline answers
 * WEIR_ECANCELED, before it does anything else and even if it would not have had to wait; a call that had already
 * won what it waited for returns that, and the cancel shows at the next one.  Inside a shield a cancel waits.
 *
 * Order: ready fibers run first in, first out.  Those whose deadline has come go before them, the earliest first, but
 * take no more than half of the loop's switches while others are ready.
 *
 * Virtual clock: with WEIR_VIRTUAL_CLOCK time stands still while any fiber can run, and jumps to the next timer when
 * all wait and none of them on something outside (a descriptor, a thread, a child).  With a seed the order in which
 * ready fibers run is shuffled, the same way for the same seed.
 */
#ifndef WEIR_RUN_H
#define WEIR_RUN_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The body of a fiber.  0 or more is success; a negative code is a failure, which its group sees. */
typedef int (*weir_fiber_fn)(void *arg);

#define WEIR_STACK_MIN ((size_t)16 * 1024)

enum weir_run_flags {
	WEIR_VIRTUAL_CLOCK = 1u << 0,
};

struct weir_options {
	size_t stack_bytes;       /* of each fiber; 0: 64 KiB; less than WEIR_STACK_MIN or over 4 GiB is refused */
	unsigned flags;           /* WEIR_VIRTUAL_CLOCK */
	unsigned offload_threads; /* most threads of weir_offload(), 256 at most; 0: 4 */
	uint64_t seed;            /* 0: ready fibers run in the order described above; else shuffled by this seed */
};

/* Runs fn(arg) as the first fiber of a new loop on this thread and returns its result when it has returned.  opts may
 * be NULL.  Signals are not touched.  A loop inside a loop is a broken contract.
 * Other errors: WEIR_ENOMEM, WEIR_EINVAL (an option), WEIR_EMFILE, and WEIR_EDEADLOCK when every fiber waits
 * for ever and none on anything outside: then the fibers are abandoned, not unwound.
 */
WEIR_API int weir_run(const struct weir_options *opts, weir_fiber_fn fn, void *arg);
WEIR_API int weir__run(const char *here, const struct weir_options *opts, weir_fiber_fn fn, void *arg);
#define weir_run(...) weir__run(WEIR_HERE, __VA_ARGS__)

/* The loop's time: read once a turn of the loop, so the same for all that runs in between. */
WEIR_API weir_nsec weir_now(void);

/* The clock itself, read now (22 ns); the virtual time on a loop with a virtual clock.  From any thread. */
WEIR_API weir_nsec weir_clock(void);

/* The deadline that lies `timeout` after weir_now(); WEIR_FOREVER when timeout is 0 or less. */
WEIR_API weir_nsec weir_after(weir_nsec timeout);

/* Lets every other ready fiber run once.  Suspends.  0 or WEIR_ECANCELED. */
WEIR_API int weir_yield(void);

/* Suspends until the deadline has passed (a time, not WEIR_TRY): 0, immediately if it lies in the past.  Never wakes
 * early, but for WEIR_ECANCELED, and for WEIR_ETIMEDOUT when a deadline scope (below) ends before. */
WEIR_API int weir_sleep_until(weir_nsec deadline);

/* weir_sleep_until(weir_now() + duration). */
WEIR_API int weir_sleep(weir_nsec duration);

/* Whether this fiber was cancelled (and is not inside a shield). */
WEIR_API bool weir_canceled(void);

/* Between enter and leave this fiber's calls may wait although it was cancelled, and although a deadline scope it is in
 * has ended: for clean-up.  Nests. */
WEIR_API void weir_shield_enter(void);
WEIR_API void weir_shield_leave(void);
WEIR_API void weir__shield_leave(const char *here);
#define weir_shield_leave() weir__shield_leave(WEIR_HERE)

/*
 * A deadline over several calls.  Between enter and leave no call of this fiber waits beyond the scope's deadline: each
 * deadline that lies later, WEIR_FOREVER too, counts as the scope's, and the call answers WEIR_ETIMEDOUT then.  A call
 * that need not wait succeeds, as it does with a deadline in the past.
 *
 *     struct weir_deadline scope;
 *     weir_deadline_enter(&scope, weir_after(2 * WEIR_SEC));
 *     int code = fetch_and_store(job);
 *     weir_deadline_leave(&scope);
 *
 * Nests: the earliest deadline counts.  Fibers that are spawned inside do not inherit it.  Inside a shield the scopes
 * around it do not count, those entered in it do.
 */
struct weir_deadline {
	weir_nsec at; /* what counts: the scope's own or an outer one's; the fields belong to the library */
	struct weir_deadline *outer;
	unsigned shield;
};

/* The scope's memory is the caller's, until it is left.  deadline: a time (WEIR_TRY counts as one long past) or
 * WEIR_FOREVER.  Does not suspend. */
WEIR_API void weir_deadline_enter(struct weir_deadline *scope, weir_nsec deadline);

/* Contract: the scope entered last, by this fiber, and as deep in shields as then. */
WEIR_API void weir_deadline_leave(struct weir_deadline *scope);
WEIR_API void weir__deadline_leave(const char *here, struct weir_deadline *scope);
#define weir_deadline_leave(...) weir__deadline_leave(WEIR_HERE, __VA_ARGS__)

/* The deadline that the scopes set for the calls of this fiber now; WEIR_FOREVER: none. */
WEIR_API weir_nsec weir_deadline_now(void);

/* Figures of the loop this fiber runs on, for tests and measurements. */
struct weir_run_stats {
	uint64_t switches;       /* times a fiber was given its turn, so far */
	uint64_t polls;          /* times the system was asked for events */
	size_t fibers;           /* alive: not yet started, ready, running or waiting */
	size_t stacks;           /* mapped, in use or kept for re-use */
	size_t stacks_unguarded; /* of them, those that only a canary protects, for want of memory mappings */
};
WEIR_API void weir_run_stats(struct weir_run_stats *ret_stats);

#ifdef __cplusplus
}
#endif
#endif
