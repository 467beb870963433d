/* SPDX-License-Identifier: MIT */
/* Counts dead letters by what they died of, for the end of the run.  There is room for the first few causes only: a
 * run that has more needs the groups of `weir dead`, which are counted from the letters. */
#include "engine/parts.h"

#include "port/cause.h"

#include <stdio.h>

static struct engine_cause *find(struct engine_causes *causes, uint32_t id)
{
	for (size_t i = 0; i < causes->n; i++)
		if (causes->all[i].id == id)
			return &causes->all[i];
	return NULL;
}

static struct engine_cause *add(struct engine_causes *causes, uint32_t id, const struct item *item)
{
	struct buf text = {0};
	if (causes->n == ENGINE_CAUSES)
		return NULL;
	struct engine_cause *cause = &causes->all[causes->n++];
	*cause = (struct engine_cause){.id = id};
	cause_say(item_why(item), item->evidence.data, item->evidence.len, &text);
	snprintf(cause->text, sizeof cause->text, "%.*s", (int)sizeof cause->text - 1, text.data ? text.data : "");
	buf_fini(&text);
	return cause;
}

void engine_cause_count(struct engine_causes *causes, const struct item *item)
{
	uint32_t id = cause_of(item_why(item), item->evidence.data, item->evidence.len);
	struct engine_cause *cause = find(causes, id);
	if (!cause)
		cause = add(causes, id, item);
	if (!cause)
		return;
	cause->letters++;
	while (cause > causes->all && cause[-1].letters < cause->letters) {
		struct engine_cause less = cause[-1];
		cause[-1] = *cause;
		*cause-- = less;
	}
}
