/* SPDX-License-Identifier: MIT */
/* weir status and weir set, of a pipeline that several processes work on. */
#ifndef CMD_FLEET_H
#define CMD_FLEET_H

#include "cmd/visit.h"
#include "engine/engine.h"

/* For visit_run().  arg: a bool, whether to print JSON. */
int fleet_show(struct visit *visit, void *arg, struct weir_error *err);

struct fleet_setting {
	struct engine_changes changes;
	bool as_json;
};

/* For visit_run().  arg: a struct fleet_setting, which holds for all, and for those that join later. */
int fleet_set(struct visit *visit, void *arg, struct weir_error *err);

/* How many processes of a view are not silent. */
size_t fleet_count_alive(const struct fleet_view *view);

#endif
