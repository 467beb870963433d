/* SPDX-License-Identifier: MIT */
/*
 * flow.priority.sla: how long items of a class should wait for their first try, and how many waited longer.
 *
 * An item's wait begins when it comes into memory, and what it stands in line for before its upstream counts: whoever
 * says "2 s" means the call.  Nothing is done about it here; classes and aging decide who goes first.
 */
#include "engine/internal.h"

#include <stdlib.h>

int engine_classes_open(struct engine *engine)
{
	const struct key_times *sla = &engine->plan->settings.priority_sla;
	engine->classes = sla->n ? calloc(sla->n, sizeof *engine->classes) : NULL;
	if (sla->n && !engine->classes)
		return WEIR_ENOMEM;
	for (; engine->class_count < sla->n; engine->class_count++) {
		struct engine_class *class = &engine->classes[engine->class_count];
		if (weir_histogram_new(&class->waits))
			return WEIR_ENOMEM;
		class->number = sla->times[engine->class_count].number;
		class->sla = sla->times[engine->class_count].time;
	}
	return 0;
}

void engine_classes_free(struct engine *engine)
{
	for (size_t i = 0; i < engine->class_count; i++)
		weir_histogram_free(engine->classes[i].waits);
	free(engine->classes);
}

void engine_class_begins(struct engine *engine, const struct item *item, weir_nsec waited)
{
	for (size_t i = 0; i < engine->class_count; i++) {
		struct engine_class *class = &engine->classes[i];
		if (class->number != item->class)
			continue;
		weir_histogram_record(class->waits, waited);
		class->late += waited > class->sla;
	}
}
