/* SPDX-License-Identifier: MIT */
/* What this worker holds at the server: in the table all of it, in line what the engine does not have. */
#include "redis/broker/state.h"

#include <stdlib.h>

struct held *redis_find_held(const struct redis_broker *broker, const struct item *item)
{
	struct weir_table_node *node = weir_table_find(&broker->held, weir_hash_number(item->id));
	while (node && (((struct held *)node)->id != item->id || ((struct held *)node)->place != item->place))
		node = weir_table_again(node);
	return (struct held *)node;
}

void redis_drop_held(struct redis_broker *broker, struct held *held)
{
	weir_table_remove(&broker->held, &held->node);
	free(held->history);
	free(held);
}

void redis_push_line(struct redis_broker *broker, struct item *item)
{
	STAILQ_INSERT_TAIL(&broker->line, item, behind);
	broker->line_items++;
	broker->line_bytes += item->source.len + item->record.len;
}

struct item *redis_pop_line(struct redis_broker *broker)
{
	struct item *item = STAILQ_FIRST(&broker->line);
	if (!item)
		return NULL;
	STAILQ_REMOVE_HEAD(&broker->line, behind);
	broker->line_items--;
	broker->line_bytes -= item->source.len + item->record.len;
	return item;
}

void redis_forget_held(struct redis_broker *broker)
{
	struct weir_table_node *node;
	struct item *item;
	while ((item = redis_pop_line(broker)))
		item_free(item);
	while ((node = weir_table_next(&broker->held, NULL)))
		redis_drop_held(broker, (struct held *)node);
}

int redis_hold(struct redis_broker *broker, const struct item *item, const struct value *history)
{
	struct held *held = calloc(1, sizeof *held);
	if (!held || weir_table_reserve(&broker->held) ||
	    (history->len && !(held->history = strndup(history->data, history->len)))) {
		free(held);
		return WEIR_ENOMEM;
	}
	held->id = item->id;
	held->place = item->place;
	weir_table_add(&broker->held, &held->node, weir_hash_number(held->id));
	return 0;
}
