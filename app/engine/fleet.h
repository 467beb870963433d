/* SPDX-License-Identifier: MIT */
/*
 * This engine among others at the same broker (port/fleet.h).  The broker has it say and hear something once a second;
 * somewhat more often it looks at what the others have said.
 * What holds for all together is in engine/shares.h.
 */
#ifndef ENGINE_FLEET_H
#define ENGINE_FLEET_H

#include "port/fleet.h"

struct engine;
struct engine_fleet;

/* NULL is fine in all that follows, but for the listener: there are no others. */

int engine_fleet_open(struct engine *engine); /* WEIR_ENOMEM; nothing, if the broker is not shared */
void engine_fleet_free(struct engine_fleet *fleet);
const struct fleet_listener *engine_fleet_listener(const struct engine_fleet *fleet);

/* Before the first call: begins with what others have found out about the upstreams.  Suspends. */
void engine_fleet_join(struct engine_fleet *fleet);

int engine_fleet_keep_looking(void *fleet); /* a fiber */

/* The run has given up (stop_when): so shall all.  Suspends, for two seconds at most. */
void engine_fleet_give_up(struct engine_fleet *fleet);

#endif
