/* SPDX-License-Identifier: MIT */
/*
 * Once: several fibers need something made, one makes it, the others wait for it.  A failure is the maker's alone: the
 * one that has waited longest tries next.  Calls belong on fibers of the loop that made it.
 */
#ifndef WEIR_ONCE_H
#define WEIR_ONCE_H

#include <weir/run.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_once;

WEIR_API int weir_once_new(struct weir_once **ret_once); /* WEIR_ENOMEM */

/* Contract: no fiber is in weir_once_run() with it, but for those that were woken as it was done, or cancelled while
 * they waited.  NULL is fine. */
WEIR_API void weir_once_free(struct weir_once *once);

/* 0 as soon as an fn has succeeded (returned 0 or more), from then on without calling any.  Else calls fn(arg) on this
 * fiber, or, while another fiber is at it, suspends until the deadline; fn itself may suspend as long as it likes.
 * A negative code of its own fn is returned; WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED: it was not called.  A
 * cancelled maker ends by its fn's failing.  Contract: fn does not call weir_once_run() with the same once. */
WEIR_API int weir_once_run(struct weir_once *once, weir_fiber_fn fn, void *arg, weir_nsec deadline);

WEIR_API bool weir_once_is_done(const struct weir_once *once);

#ifdef __cplusplus
}
#endif
#endif
