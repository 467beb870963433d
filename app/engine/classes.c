/* SPDX-License-Identifier: MIT */
/*
 * flow.priority.sla: how long items of a class should wait for their first attempt, how many waited longer, and how
 * many were overtaken on the way.
 *
 * An item's wait begins when it comes into memory, and what it stands in line for before its upstream counts: whoever
 * says "2 s" means the call.  Nothing is done about it here; classes and aging decide who goes first.
 */
#include "engine/parts.h"

#include <stdlib.h>

int engine_classes_open(struct engine_classes *classes, const struct key_times *sla)
{
	classes->all = sla->n ? calloc(sla->n, sizeof *classes->all) : NULL;
	if (sla->n && !classes->all)
		return WEIR_ENOMEM;
	for (; classes->n < sla->n; classes->n++) {
		struct engine_class *class = &classes->all[classes->n];
		if (weir_histogram_new(&class->waits))
			return WEIR_ENOMEM;
		class->number = sla->times[classes->n].number;
		class->sla = sla->times[classes->n].time;
	}
	return 0;
}

void engine_classes_free(struct engine_classes *classes)
{
	for (size_t i = 0; i < classes->n; i++)
		weir_histogram_free(classes->all[i].waits);
	free(classes->all);
}

void engine_class_begins(struct engine_classes *classes, const struct item *item, weir_nsec waited)
{
	bool overtaken = item->born < classes->latest;
	classes->latest = overtaken ? classes->latest : item->born;
	for (size_t i = 0; i < classes->n; i++) {
		struct engine_class *class = &classes->all[i];
		if (class->number != item->class)
			continue;
		class->overtaken += overtaken;
		weir_histogram_record(class->waits, waited);
		class->late += waited > class->sla;
	}
}
