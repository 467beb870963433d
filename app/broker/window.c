/* SPDX-License-Identifier: MIT */
/*
 * The window: the items that are in memory.
 *
 *     ready     a queue, first in, first out, or by class, straight to the worker that has waited longest
 *     waiting   a heap by due time; a fiber puts what is due into the ready queue
 *     leased    only counted: the items are with the workers
 *     dead      with the committer, until they are written as letters
 *
 * held_items counts them all and never exceeds the capacity, for which the queue and the heap have room: taking
 * an item back cannot fail and does not wait.  After stop() nothing comes to the ready queue any more; what is here
 * then, is in the store, too, and is just forgotten at the end.
 */
#include "broker/durable.h"

#include <stdlib.h>

static struct item *item_of(struct weir_heap_node *node)
{
	return (struct item *)((char *)node - offsetof(struct item, waiting));
}

size_t broker_item_bytes(const struct item *item)
{
	return item->source.len + 1;
}

int broker_window_open(struct broker *broker)
{
	size_t capacity = broker->most_capacity;
	const struct weir_queue_options ready = {.item_bytes = sizeof(struct item *),
						 .capacity = capacity,
						 .order = broker->class_of ? WEIR_PRIORITY : WEIR_FIFO,
						 .aging = broker->aging};
	int code = weir_event_new(&broker->earlier);
	if (!code)
		code = weir_heap_reserve(&broker->waiting, capacity);
	if (!code)
		code = weir_queue_new_with(&ready, &broker->ready);
	return code;
}

static struct item *pop_waiting(struct broker *broker)
{
	struct weir_heap_node *node = weir_heap_top(&broker->waiting).node;
	weir_heap_remove(&broker->waiting, node);
	broker->counts.waiting--;
	return item_of(node);
}

void broker_window_free(struct broker *broker)
{
	struct item *item;
	while (broker->ready && !weir_queue_try_get(broker->ready, &item))
		item_free(item);
	while (broker->waiting.n)
		item_free(pop_waiting(broker));
	weir_queue_free(broker->ready);
	weir_heap_fini(&broker->waiting);
	weir_event_free(broker->earlier);
}

bool broker_window_fits(const struct broker *broker, size_t items, size_t bytes)
{
	if (broker->held_items + items > broker->capacity_items)
		return false;
	return broker->held_bytes + bytes <= broker->capacity_bytes || (!broker->held_items && items == 1);
}

static void push_ready(struct broker *broker, struct item *item)
{
	broker->counts.ready++;
	weir_shield_enter();
	weir_queue_put_at(broker->ready, &item, item->class, WEIR_TRY);
	weir_shield_leave();
}

static void push_waiting(struct broker *broker, struct item *item)
{
	bool first = !broker->waiting.n || item->due < weir_heap_top(&broker->waiting).key;
	broker->counts.waiting++;
	weir_heap_add(&broker->waiting, item->due, &item->waiting);
	if (first)
		weir_event_set(broker->earlier);
}

void broker_window_admit(struct broker *broker, struct item *item)
{
	broker->held_items++;
	broker->held_bytes += broker_item_bytes(item);
	item->class = broker->class_of ? broker->class_of(broker->arg, item) : 0;
	if (item->due > weir_now())
		push_waiting(broker, item);
	else
		push_ready(broker, item);
}

void broker_window_postpone(struct broker *broker, struct item *item, weir_nsec due)
{
	item->due = due;
	broker->counts.leased--;
	push_waiting(broker, item);
}

void broker_window_drop(struct broker *broker, struct item *item)
{
	broker->held_items--;
	broker->held_bytes -= broker_item_bytes(item);
	item_free(item);
}

int broker_window_move_due(void *arg)
{
	struct broker *broker = arg;
	for (;;) {
		weir_event_clear(broker->earlier);
		while (!broker->stopped && broker->waiting.n && weir_heap_top(&broker->waiting).key <= weir_now())
			push_ready(broker, pop_waiting(broker));
		bool waits = broker->waiting.n && !broker->stopped;
		int code = weir_event_wait(broker->earlier, waits ? weir_heap_top(&broker->waiting).key : WEIR_FOREVER);
		if (code == WEIR_ECANCELED)
			return 0;
	}
}
