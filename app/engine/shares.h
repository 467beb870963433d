/* SPDX-License-Identifier: MIT */
/*
 * flow.rate and a number in flow.concurrency hold for all workers at a broker together: this one uses its share of them
 * (fleet/shares.h).  While it has none it makes no call and takes no item.
 */
#ifndef ENGINE_SHARES_H
#define ENGINE_SHARES_H

#include "engine/why.h"
#include "port/fleet.h"

struct engine;
struct engine_shares;

int engine_shares_open(struct engine *engine);         /* engine->shares.  WEIR_ENOMEM */
void engine_shares_free(struct engine_shares *shares); /* NULL is fine, here and in the next two */

/* Limits or shares may have changed: holds to what they are now. */
void engine_shares_apply(struct engine_shares *shares);

/* What keeps it from taking any item: a limit of which it has no share; WHY_END: nothing does. */
enum engine_why engine_shares_hold(const struct engine_shares *shares);

/* For a meeting (fleet_listener): what is needed, which without others is all of it.  And after it. */
struct fleet_limit *engine_shares_say(struct engine_shares *shares, bool has_others, size_t *ret_n);
void engine_shares_hear(struct engine_shares *shares);

int engine_shares_keep(void *shares); /* a fiber: a share that was not renewed ends */

#endif
