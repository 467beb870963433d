/* SPDX-License-Identifier: MIT */
/*
 * The broker without durability: everything in memory, bounded.
 *
 *     ready     a queue, first in, first out, or by class, straight to the worker that has waited longest
 *     waiting   a heap by due time; a fiber, the mover, puts what is due into the ready queue
 *     leased    only counted: the items are with the workers
 *
 * `room` counts the items that may still come in, so the ready queue and the heap never run out of place: taking an
 * item back cannot fail and does not wait.
 */
#include "port/adapters.h"

#include <stdlib.h>
#include <weir/weir.h>

struct broker {
	struct weir_queue *ready; /* of struct item * */
	struct weir_heap waiting;
	int64_t (*class_of)(void *arg, const struct item *item); /* NULL: first in, first out */
	void *arg;
	struct broker_counts counts;
	struct weir_sem *room;      /* items that may still come in */
	struct weir_sem *bytes;     /* and bytes of their sources */
	struct weir_event *earlier; /* the first due time of the heap has changed */
	struct weir_group *mover;
	size_t capacity, most; /* that `room` is of, and may be of */
	uint64_t last_id;
	bool sealed, stopped;
};

struct memory_config {
	char unused; /* there is nothing to set; an empty struct is no C */
};

static struct item *item_of(struct weir_heap_node *node)
{
	return (struct item *)((char *)node - offsetof(struct item, waiting));
}

static struct item *pop_waiting(struct broker *broker)
{
	struct weir_heap_node *node = weir_heap_top(&broker->waiting).node;
	weir_heap_remove(&broker->waiting, node);
	broker->counts.waiting--;
	return item_of(node);
}

static void free_broker(struct broker *broker)
{
	struct item *item;
	if (broker->mover) {
		weir_group_cancel(broker->mover);
		weir_shield_enter();
		weir_group_wait(broker->mover, WEIR_FOREVER);
		while (!weir_queue_get(broker->ready, &item, WEIR_TRY))
			item_free(item);
		weir_shield_leave();
	}
	while (broker->waiting.n)
		item_free(pop_waiting(broker));
	weir_group_free(broker->mover);
	weir_heap_fini(&broker->waiting);
	weir_queue_free(broker->ready);
	weir_sem_free(broker->room);
	weir_sem_free(broker->bytes);
	weir_event_free(broker->earlier);
	free(broker);
}

/* There is room for it: see `room`. */
static void push_ready(struct broker *broker, struct item *item)
{
	weir_shield_enter();
	broker->counts.ready++;
	if (weir_queue_put_at(broker->ready, &item, item->class, WEIR_TRY))
		item_free(item); /* stopped: nobody will lease it any more */
	weir_shield_leave();
}

static int move_due(void *arg)
{
	struct broker *broker = arg;
	for (;;) {
		while (broker->waiting.n && weir_heap_top(&broker->waiting).key <= weir_now())
			push_ready(broker, pop_waiting(broker));
		weir_nsec until = broker->waiting.n ? weir_heap_top(&broker->waiting).key : WEIR_FOREVER;
		int code = weir_event_wait(broker->earlier, until);
		if (code == WEIR_ECANCELED)
			return 0;
		weir_event_clear(broker->earlier);
	}
}

static int make_objects(struct broker *broker, const struct broker_options *opts)
{
	size_t capacity = opts->most_items > opts->capacity_items ? opts->most_items : opts->capacity_items;
	const struct weir_queue_options ready = {.item_bytes = sizeof(struct item *),
						 .capacity = capacity,
						 .order = opts->class_of ? WEIR_PRIORITY : WEIR_FIFO,
						 .aging = opts->aging};
	broker->class_of = opts->class_of;
	broker->arg = opts->arg;
	broker->capacity = opts->capacity_items;
	broker->most = capacity;
	int code = weir_sem_new(opts->capacity_items, &broker->room);
	if (!code)
		code = weir_sem_new(opts->capacity_bytes, &broker->bytes);
	if (!code)
		code = weir_event_new(&broker->earlier);
	if (!code)
		code = weir_heap_reserve(&broker->waiting, capacity);
	if (!code)
		code = weir_queue_new_with(&ready, &broker->ready);
	if (!code)
		code = weir_group_new(NULL, &broker->mover);
	return code ? code : weir_group_spawn(broker->mover, move_due, broker, WEIR_FOREVER);
}

static int memory_open(const void *config, const struct broker_options *opts, struct broker **ret_broker,
		       struct weir_error *err)
{
	(void)config;
	struct broker *broker = calloc(1, sizeof *broker);
	int code = broker ? make_objects(broker, opts) : WEIR_ENOMEM;
	if (!code) {
		*ret_broker = broker;
		return 0;
	}
	if (broker)
		free_broker(broker);
	return weir_error_set(err, code, "memory broker: %s", weir_strerror(code));
}

static int memory_recall(const struct broker *broker, struct broker_past *ret_past)
{
	(void)broker;
	*ret_past = (struct broker_past){0};
	return 0;
}

static int memory_start(struct broker *broker, const struct broker_start *start, struct weir_error *err,
			weir_nsec deadline)
{
	(void)broker, (void)start, (void)err, (void)deadline;
	return 0;
}

static size_t bytes_of(struct item *const *items, size_t n)
{
	size_t bytes = 0;
	for (size_t i = 0; i < n; i++)
		bytes += items[i]->source.len + 1;
	return bytes;
}

static int memory_put(struct broker *broker, struct item *const *items, size_t n, const struct source_cursor *cursor,
		      struct weir_error *err, weir_nsec deadline)
{
	(void)cursor, (void)err;
	size_t bytes = bytes_of(items, n);
	int code = broker->stopped ? WEIR_ECLOSED : weir_sem_acquire(broker->room, n, deadline);
	if (code)
		return code;
	code = weir_sem_acquire(broker->bytes, bytes, deadline);
	if (!code && broker->stopped) {
		weir_sem_release(broker->bytes, bytes);
		code = WEIR_ECLOSED;
	}
	if (code) {
		weir_sem_release(broker->room, n);
		return code;
	}
	for (size_t i = 0; i < n; i++) {
		items[i]->id = ++broker->last_id;
		items[i]->class = broker->class_of ? broker->class_of(broker->arg, items[i]) : 0;
		push_ready(broker, items[i]);
	}
	return 0;
}

static void close_if_done(struct broker *broker)
{
	const struct broker_counts *counts = &broker->counts;
	if (broker->sealed && !counts->ready && !counts->leased && !counts->waiting)
		weir_queue_close(broker->ready, 0);
}

static int memory_seal(struct broker *broker, struct weir_error *err, weir_nsec deadline)
{
	(void)err, (void)deadline;
	broker->sealed = true;
	close_if_done(broker);
	return 0;
}

/* An item may be handed over while stop() comes: then it goes back, unfinished. */
static int memory_lease(struct broker *broker, struct item **ret_items, size_t max, struct weir_error *err,
			weir_nsec deadline)
{
	(void)err;
	int code = broker->stopped ? WEIR_ECLOSED : weir_queue_get(broker->ready, &ret_items[0], deadline);
	if (code)
		return code;
	size_t n = 1;
	while (n < max && !weir_queue_get(broker->ready, &ret_items[n], WEIR_TRY))
		n++;
	broker->counts.ready -= n;
	broker->counts.leased += n;
	return (int)n;
}

static int memory_ack(struct broker *broker, struct item *const *items, size_t n, enum broker_lane lane,
		      const struct value *position, struct weir_error *err, weir_nsec deadline)
{
	(void)lane, (void)position, (void)err, (void)deadline;
	size_t bytes = bytes_of(items, n);
	for (size_t i = 0; i < n; i++)
		item_free(items[i]);
	broker->counts.leased -= n;
	weir_sem_release(broker->room, n);
	weir_sem_release(broker->bytes, bytes);
	close_if_done(broker);
	return 0;
}

static void memory_nack(struct broker *broker, struct item *item, weir_nsec due)
{
	bool first = !broker->waiting.n || due < weir_heap_top(&broker->waiting).key;
	item->due = due;
	broker->counts.leased--;
	broker->counts.waiting++;
	weir_heap_add(&broker->waiting, due, &item->waiting);
	if (first)
		weir_event_set(broker->earlier);
}

static void memory_stop(struct broker *broker)
{
	broker->stopped = true;
	weir_queue_close(broker->ready, 0);
}

static void memory_grow(struct broker *broker, size_t capacity)
{
	capacity = capacity < broker->most ? capacity : broker->most;
	if (capacity <= broker->capacity)
		return;
	weir_sem_release(broker->room, capacity - broker->capacity);
	broker->capacity = capacity;
}

static void memory_counts(const struct broker *broker, struct broker_counts *ret_counts)
{
	*ret_counts = broker->counts;
}

static int memory_close(struct broker *broker, struct weir_error *err)
{
	(void)err;
	free_broker(broker);
	return 0;
}

static const struct broker_ops memory_ops = {
	.open = memory_open,
	.recall = memory_recall,
	.start = memory_start,
	.put = memory_put,
	.seal = memory_seal,
	.lease = memory_lease,
	.ack = memory_ack,
	.nack = memory_nack,
	.stop = memory_stop,
	.grow = memory_grow,
	.counts = memory_counts,
	.close = memory_close,
};

static const struct key memory_keys[] = {{.name = NULL}};

const struct adapter broker_memory_adapter = {
	.kind = ADAPTER_BROKER,
	.name = "memory",
	.text = "keeps accepted items in memory, bounded; what is unfinished when weir ends is read again by the next "
		"run",
	.keys = memory_keys,
	.config_bytes = sizeof(struct memory_config),
	.broker = &memory_ops,
};
