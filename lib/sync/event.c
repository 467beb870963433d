/* SPDX-License-Identifier: MIT */
/* The event: a flag and a list of those who wait for it. */
#include "sync/event.h"

#include <stdlib.h>

struct weir_event {
	bool set;
	struct weir__waitlist waiters;
};

int weir_event_new(struct weir_event **ret_event)
{
	struct weir_event *event = calloc(1, sizeof *event);
	if (!event)
		return WEIR_ENOMEM;
	TAILQ_INIT(&event->waiters);
	*ret_event = event;
	return 0;
}

void weir__event_free(const char *here, struct weir_event *event)
{
	weir__require(!event || TAILQ_EMPTY(&event->waiters), here, "weir_event_free: a fiber waits on it");
	free(event);
}

weir__function(event_free, struct weir_event *);

struct weir__waitlist *weir__event_waiters(struct weir_event *event)
{
	return &event->waiters;
}

void weir_event_set(struct weir_event *event)
{
	event->set = true;
	weir__wake_all(&event->waiters, 0);
}

void weir_event_clear(struct weir_event *event)
{
	event->set = false;
}

bool weir_event_is_set(const struct weir_event *event)
{
	return event->set;
}

int weir_event_wait(struct weir_event *event, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (event->set)
		return 0;
	struct weir__waiter self = {.what = "event"};
	return weir__wait(&event->waiters, &self, deadline);
}
