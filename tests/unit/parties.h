/* SPDX-License-Identifier: MIT */
/* Several engines at work on one run, in one process. */
#ifndef UNIT_PARTIES_H
#define UNIT_PARTIES_H

#include "unit/engine_world.h"
#include "unit/fibers.h"

/* One of the engines. */
struct party {
	const struct plan *plan;
	unsigned roles;
	weir_nsec begins, stops; /* stops: after so long; 0: it does not */
	struct engine *engine;
	int exit_code;
	struct engine_stats stats;
};

static inline int stop_party(void *arg)
{
	struct party *party = arg;
	if (!weir_sleep(party->stops) && party->engine)
		engine_stop(party->engine, "the test says so");
	return 0;
}

static inline int run_party(void *arg)
{
	struct party *party = arg;
	struct engine_options opts = options_of_world();
	struct weir_error err = {0};
	struct weir_group *group = new_group();
	opts.roles = party->roles;
	weir_sleep(party->begins);
	ck_assert_msg(engine_open(party->plan, &opts, &party->engine, &party->exit_code, &err) == 0, "%s", err.text);
	if (party->stops)
		spawn(group, stop_party, party);
	party->exit_code = engine_run(party->engine, &err);
	ck_assert_msg(!err.code, "%s", err.text);
	weir_group_cancel(group);
	finish(group);
	engine_stats(party->engine, &party->stats);
	engine_free(party->engine);
	party->engine = NULL;
	return 0;
}

static inline void run_parties(struct party *parties, size_t n)
{
	struct weir_group *group = new_group();
	for (size_t i = 0; i < n; i++)
		spawn(group, run_party, &parties[i]);
	finish(group);
	ck_assert_int_eq(world.open_things, 0);
}

#endif
