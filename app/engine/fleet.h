/* SPDX-License-Identifier: MIT */
/*
 * This engine among others at the same broker (port/fleet.h).  The broker has it say and hear something once a second;
 * once a second it looks at what the others have said.
 *
 * flow.rate and a number in flow.concurrency hold for all together: this one uses its share of them (fleet/shares.h).
 * While it has none it makes no call and takes no item.
 */
#ifndef ENGINE_FLEET_H
#define ENGINE_FLEET_H

#include "engine/why.h"
#include "port/fleet.h"

struct engine;
struct engine_fleet;

/* NULL is fine in all that follows, but for the listener: there are no others. */

int engine_fleet_open(struct engine *engine); /* WEIR_ENOMEM; nothing, if the broker is not shared */
void engine_fleet_free(struct engine_fleet *fleet);
const struct fleet_listener *engine_fleet_listener(const struct engine_fleet *fleet);

/* Before the first call: begins with what others have found out about the upstreams.  Suspends. */
void engine_fleet_join(struct engine_fleet *fleet);

/* Bodies of fibers; arg is the fleet. */
int engine_fleet_keep_looking(void *fleet);
int engine_fleet_keep_shares(void *fleet);

/* Limits or shares may have changed: holds to what they are now. */
void engine_fleet_apply(struct engine_fleet *fleet);

/* What keeps it from taking any item: a limit of which it has no share; WHY_END: nothing does. */
enum engine_why engine_fleet_holds(const struct engine_fleet *fleet);

/* The run has given up (stop_when): so shall all.  Suspends, for two seconds at most. */
void engine_fleet_give_up(struct engine_fleet *fleet);

/* The pipeline changes (--adopt): who works by the old one stops.  Suspends. */
int engine_fleet_replace(struct engine_fleet *fleet, struct weir_error *err);

#endif
