/* SPDX-License-Identifier: MIT */
/*
 * Running what blocks, or computes for long, on a separate thread while the fiber waits.
 *
 * A thread cannot be stopped.  So when the deadline passes or the fiber is cancelled while the function runs, the call
 * still waits for the function to end and only then returns WEIR_ETIMEDOUT or WEIR_ECANCELED; a call whose function had
 * not begun is taken back immediately and never runs.  With a destructor the argument is owned by the call: then it
 * returns immediately in both cases, and the destructor runs when the function has ended (on the pool's thread) or was
 * taken back.
 */
#ifndef WEIR_OFFLOAD_H
#define WEIR_OFFLOAD_H

#include <weir/run.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Runs on a thread of the pool; it must not call what must be called on a fiber. */
typedef int (*weir_offload_fn)(void *arg);

/* Runs fn(arg) on the loop's pool of threads and returns what it returned (which should not be one of the codes
 * below).  WEIR_EAGAIN with deadline WEIR_TRY, WEIR_ETIMEDOUT, WEIR_ECANCELED, WEIR_ENOMEM. */
WEIR_API int weir_offload(weir_offload_fn fn, void *arg, weir_nsec deadline);

/* The same with an owned argument: destroy(arg) is called exactly once, whatever happens, unless the answer is
 * WEIR_ENOMEM.  When the function ended in time destroy runs on this fiber, before the call returns. */
WEIR_API int weir_offload_owned(weir_offload_fn fn, void *arg, void (*destroy)(void *arg), weir_nsec deadline);

/* A pool of threads of one's own: with one thread, a home for a library that wants to live on one. */
struct weir_pool;

#define WEIR_POOL_MOST 256

/* A pool of 1 to WEIR_POOL_MOST threads, started when first needed.  WEIR_EINVAL, WEIR_ENOMEM. */
WEIR_API int weir_pool_new(unsigned threads, struct weir_pool **ret_pool);

/* Waits (blocking the thread) for functions that run, and ends the threads.  Contract: no fiber waits on it, or was
 * woken or cancelled there and has not run since.  NULL is fine. */
WEIR_API void weir_pool_free(struct weir_pool *pool);
WEIR_API void weir__pool_free(const char *here, struct weir_pool *pool);
#define weir_pool_free(...) weir__pool_free(WEIR_HERE, __VA_ARGS__)

/* As weir_offload(), on this pool.  Calls from one fiber or several run in the order in which they were made, one per
 * thread. */
WEIR_API int weir_pool_call(struct weir_pool *pool, weir_offload_fn fn, void *arg, weir_nsec deadline);

#ifdef __cplusplus
}
#endif
#endif
