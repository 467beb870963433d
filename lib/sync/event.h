/* SPDX-License-Identifier: MIT */
/* Inside an event, for select.c. */
#ifndef SYNC_EVENT_H
#define SYNC_EVENT_H

#include "rt/fiber.h"

#include <weir/event.h>

struct weir__waitlist *weir__event_waiters(struct weir_event *event);

#endif
