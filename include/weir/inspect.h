/* SPDX-License-Identifier: MIT */
/*
 * Looking at the fibers of a loop: what they do, what they wait for and since when, how deep their stacks went.
 *
 * Nothing is kept for it but a text and a time in each wait, and looking allocates nothing, so it can be left in
 * programs for the day it is needed.  Calls belong on a fiber and show the loop it runs on; none suspends.
 */
#ifndef WEIR_INSPECT_H
#define WEIR_INSPECT_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_fiber_state {
	WEIR_FIBER_NEW,     /* has not begun */
	WEIR_FIBER_READY,   /* may go on, as soon as it is its turn */
	WEIR_FIBER_RUNNING, /* the one that looks */
	WEIR_FIBER_WAITING,
};

struct weir_fiber_info {
	const void *id;   /* another fiber may have it when this one has ended */
	const char *name; /* NULL: none */
	enum weir_fiber_state state;
	bool canceled;

	/* While it waits, else NULL and 0. */
	const char *waits_on; /* "queue get", "sleep", …: a literal */
	weir_nsec since;      /* the loop's time when the wait began */
	weir_nsec until;      /* its deadline; WEIR_FOREVER: none */

	/* The fiber's stack, from the top; 0 when it has none, or it was not asked for. */
	size_t stack_bytes;      /* what there is */
	size_t stack_most_bytes; /* what was ever used of it, by this fiber or one that had the stack before; in pages
				  */
};

enum weir_inspect_flags {
	WEIR_INSPECT_STACKS = 1u << 0, /* look at the stacks, too: a system call for each fiber */
};

/* Returning anything but 0 ends the inspection.  Must not suspend, spawn or cancel; *info is the call's. */
typedef int (*weir_inspect_fn)(const struct weir_fiber_info *info, void *arg);

/* Calls fn for every fiber of this loop that has not ended, in no particular order.  Returns 0, or what fn returned. */
WEIR_API int weir_inspect_fibers(unsigned flags, weir_inspect_fn fn, void *arg);

/* Writes the same for people, a line a fiber, into buf, cut after the last line that fits, always with a NUL at the end
 * (n of 0: nothing, buf may be NULL).  Returns how many bytes it would be in all, without the NUL. */
WEIR_API size_t weir_inspect_dump(unsigned flags, char *buf, size_t n);

/* "new", "ready", "running", "waiting". */
WEIR_API const char *weir_fiber_state_name(enum weir_fiber_state state);

#ifdef __cplusplus
}
#endif
#endif
