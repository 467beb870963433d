/* SPDX-License-Identifier: MIT */
/*
 * Fiber-local values: what belongs to a piece of work rather than to the code that is just running, such as the id that
 * connects its log lines or the W3C trace context.
 *
 *     static const struct weir_local_key TRACE_PARENT = {.name = "traceparent", .destroy = free};
 *     weir_local_set(&TRACE_PARENT, strdup("00-…"));
 *
 * A fiber inherits the values its spawner has at the spawn; what either sets later is its own.  Values are shared, not
 * copied: one is destroyed when no fiber and no capture holds it any more.  A fiber without values costs nothing.
 *
 * Through a queue they go by hand, in the item:
 *
 *     item.context = weir_local_capture();                  the producer, before the put
 *     weir_local_adopt(item.context);                       the consumer, after the get
 *     weir_local_release(item.context);
 *
 * No call suspends.  Values and captures stay on their loop.
 */
#ifndef WEIR_LOCAL_H
#define WEIR_LOCAL_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A key is the address of one of these, which lives as long as any value under it: make it static. */
struct weir_local_key {
	const char *name;             /* for people; may be NULL */
	void (*destroy)(void *value); /* called once for each value, in the end, on the loop's thread; must not suspend.
				       * NULL: nothing to do */
};

/* The fiber's value; NULL: it has none, or this is no fiber. */
WEIR_API void *weir_local_get(const struct weir_local_key *key);

/* Sets the fiber's value, in place of the one it had; NULL: it has none from now on.  The value is the library's then.
 * WEIR_ENOMEM: it is still the caller's, and the old one is in force.  Contract: on a fiber. */
WEIR_API int weir_local_set(const struct weir_local_key *key, void *value);

/* The values that a fiber had at one moment. */
struct weir_locals;

/* All values of this fiber as they are now, for another one of this loop; to be released.  NULL: it has none.  Costs no
 * memory. */
WEIR_API struct weir_locals *weir_local_capture(void);

/* Replaces all values of this fiber by those captured (NULL: by none).  The capture stays the caller's and can be used
 * again.  Contract: on a fiber. */
WEIR_API void weir_local_adopt(struct weir_locals *locals);

/* Gives a capture back.  NULL is fine. */
WEIR_API void weir_local_release(struct weir_locals *locals);

#ifdef __cplusplus
}
#endif
#endif
