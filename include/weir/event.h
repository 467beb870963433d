/* SPDX-License-Identifier: MIT */
/*
 * An event: fibers wait until it is set; it stays set until it is cleared.  Calls belong on fibers of the loop that
 * made it.
 */
#ifndef WEIR_EVENT_H
#define WEIR_EVENT_H

#include <weir/run.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_event;

/* A new event, not set.  WEIR_ENOMEM. */
WEIR_API int weir_event_new(struct weir_event **ret_event);

/* Contract: no fiber waits on it; one that was woken or cancelled does not any longer.  NULL is fine. */
WEIR_API void weir_event_free(struct weir_event *event);
WEIR_API void weir__event_free(const char *here, struct weir_event *event);
#define weir_event_free(...) weir__event_free(WEIR_HERE, __VA_ARGS__)

/* Sets it and wakes all who wait, also those that would find it cleared again when they run.  Does not suspend. */
WEIR_API void weir_event_set(struct weir_event *event);
WEIR_API void weir_event_clear(struct weir_event *event);
WEIR_API bool weir_event_is_set(const struct weir_event *event);

/* Suspends until it is set.  WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED. */
WEIR_API int weir_event_wait(struct weir_event *event, weir_nsec deadline);

#ifdef __cplusplus
}
#endif
#endif
