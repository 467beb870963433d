/* SPDX-License-Identifier: MIT */
/* Disks that are full: which file it is about, and what is said of it. */
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

/* What a sink writes: a file, else a table on a server, by the only key that can say so. */
static void name_output(const struct adapter *adapter, const void *config, char name[ENGINE_DISK_BYTES])
{
	snprintf(name, ENGINE_DISK_BYTES, "the standard output");
	for (const struct key *key = adapter->keys; key && key->name; key++) {
		char *const *value = (char *const *)((const char *)config + key->offset);
		if (key->flags & KEY_TABLE)
			snprintf(name, ENGINE_DISK_BYTES, "table %s", *value);
		if (key->type != KEY_PATH_OUT)
			continue;
		snprintf(name, ENGINE_DISK_BYTES, "%s", *value);
		return;
	}
}

/* NULL: none of them waits for a file. */
static const char *path_of_step(const struct engine *engine)
{
	const char *path = NULL;
	for (size_t i = 0; engine->steps.all && i < engine->life.plan->step_count && !path; i++) {
		const struct step_ops *ops = engine->life.plan->steps[i].adapter->step;
		path = ops->full && engine->steps.all[i] ? ops->full(engine->steps.all[i]) : NULL;
	}
	return path;
}

bool engine_is_full(const struct engine *engine, char name[ENGINE_DISK_BYTES])
{
	const struct engine_store *store = &engine->store;
	const char *saved = path_of_step(engine);
	const struct engine_options *opts = &store->life->opts;
	const struct plan *plan = store->life->plan;
	const struct plan_adapter dead = {.adapter = opts->dead_adapter,
					  .config = (void *)(uintptr_t)opts->dead_config};
	const struct plan_adapter *letters = plan->dead_letter.adapter ? &plan->dead_letter : &dead;
	struct broker_counts counts;
	engine_counts(store, &counts);
	if (store->full[OUTLET_SINK])
		name_output(plan->sink.adapter, plan->sink.config, name);
	else if (store->full[OUTLET_DEAD])
		name_output(letters->adapter, letters->config, name);
	else if (counts.degraded || store->full[PLACE_INTAKE] || store->full[PLACE_ACKS])
		snprintf(name, ENGINE_DISK_BYTES, "%s/state.db", opts->state ? opts->state : ".");
	else if (saved)
		snprintf(name, ENGINE_DISK_BYTES, "%s", saved);
	else
		return false;
	return true;
}

void engine_tell_of_disk(struct engine *engine)
{
	struct engine_announced *announced = &engine->announced;
	char name[ENGINE_DISK_BYTES];
	bool full = engine_is_full(engine, name);
	if (full && !announced->full[0] && engine->life.state == ENGINE_RUNNING) {
		memcpy(announced->full, name, sizeof name);
		engine_note(&engine->life, "disk full: cannot write to %s; the run waits until there is room", name);
	} else if (!full && announced->full[0]) {
		engine_note(&engine->life, "%s can be written again; the run continues", announced->full);
		announced->full[0] = 0;
	}
}
