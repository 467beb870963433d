/* SPDX-License-Identifier: MIT */
/*
 * For the tests of programs that use weir: what can be made to happen on purpose.
 *
 * Time: run the code under test with WEIR_VIRTUAL_CLOCK (run.h), and time-outs, backoffs and pauses take none.
 * Order: with a `seed` in weir_options ready fibers run in a shuffled order, the same for the same seed; a few dozen
 * seeds find what depends on who comes first.
 * Size: give the code under test its queue as an argument, and it can be one of a single item, where all waits happen.
 * Failure: this header.  The nth call of a kind answers a code of your choice and does nothing, as if the world had
 * failed just there.  Counting n up until nothing failed any more visits every such place:
 *
 *     for (unsigned n = 1;; n++) {
 *         weir_testing_fail(WEIR_TESTING_PUT, n, WEIR_ETIMEDOUT);
 *         int code = weir_run(&options, under_test, NULL);
 *         if (!weir_testing_failed(WEIR_TESTING_PUT))
 *             break;
 *         assert(code == WEIR_ETIMEDOUT);
 *     }
 *
 * It costs a program that is not tested nothing, for it is not in libweir: the linker leads the calls of a test program
 * through libweir-testing (`pkg-config --libs weir-testing weir` has the words).  With the archive libweir.a the
 * allocations of the library fail as well as your own; those within libc (strdup, fopen) never do.
 *
 * Calls are counted for each thread on its own, on whatever fiber they are made; a call that fails does not suspend.
 */
#ifndef WEIR_TESTING_H
#define WEIR_TESTING_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_testing_call {
	WEIR_TESTING_PUT,      /* weir_queue_put, _put_at */
	WEIR_TESTING_GET,      /* weir_queue_get */
	WEIR_TESTING_ACQUIRE,  /* weir_sem_acquire */
	WEIR_TESTING_SPAWN,    /* weir_group_spawn, _spawn_with; with the archive those of weir_group_run */
	WEIR_TESTING_ALLOCATE, /* malloc, calloc, realloc: NULL and ENOMEM, whatever the code */
};

/* Lets the nth call of that kind from now on (1: the very next) answer `code`, once; n = 0: none.  Takes the place of
 * what was asked for before for that kind.  WEIR_EINVAL: no such kind, or a code that is not negative. */
WEIR_API int weir_testing_fail(enum weir_testing_call call, unsigned n, int code);

/* Whether the call that was asked for has failed by now. */
WEIR_API bool weir_testing_failed(enum weir_testing_call call);

#ifdef __cplusplus
}
#endif
#endif
