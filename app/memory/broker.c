/* SPDX-License-Identifier: MIT */
/*
 * The broker without durability: a line (line.h), bounded.
 *
 * `room` counts the items that may still come in, so the line never runs out of place: taking an item back cannot fail
 * and does not wait.
 */
#include "memory/line.h"
#include "port/adapters.h"

#include <stdlib.h>
#include <weir/weir.h>

struct memory_broker {
	struct broker_line line;
	struct weir_sem *room;  /* items that may still come in */
	struct weir_sem *bytes; /* and bytes of their sources, and of the records of those that wait */
	size_t capacity, most;  /* that `room` is of, and may be of */
	size_t coming;          /* items of the puts that wait for room */
	uint64_t last_id;
	struct broker_accounts accounts;
	bool sealed, stopped;
};

static void free_broker(struct memory_broker *broker)
{
	broker_line_free(&broker->line);
	weir_sem_free(broker->room);
	weir_sem_free(broker->bytes);
	free(broker);
}

static int make_objects(struct memory_broker *broker, const struct broker_options *opts)
{
	broker->capacity = opts->capacity_items;
	broker->most = opts->most_items > opts->capacity_items ? opts->most_items : opts->capacity_items;
	int code = weir_sem_new(opts->capacity_items, &broker->room);
	if (!code)
		code = weir_sem_new(opts->capacity_bytes, &broker->bytes);
	return code ? code : broker_line_open(&broker->line, opts, broker->most);
}

static int memory_open(const void *config, const struct broker_options *opts, struct broker **ret_broker,
		       struct weir_error *err)
{
	(void)config;
	struct memory_broker *broker = calloc(1, sizeof *broker);
	int code = broker ? make_objects(broker, opts) : WEIR_ENOMEM;
	if (!code) {
		*ret_broker = (struct broker *)broker;
		return 0;
	}
	if (broker)
		free_broker(broker);
	return weir_error_set(err, code, "memory broker: %s", weir_strerror(code));
}

static int memory_recall(struct broker *handle, struct broker_past *ret_past, struct weir_error *err,
			 weir_nsec deadline)
{
	struct memory_broker *broker = (struct memory_broker *)handle;
	(void)broker, (void)err, (void)deadline;
	*ret_past = (struct broker_past){0};
	return 0;
}

static int memory_begin(struct broker *handle, const struct broker_start *start, struct weir_error *err,
			weir_nsec deadline)
{
	struct memory_broker *broker = (struct memory_broker *)handle;
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

/* Waits for room for the items. */
static int take_room(struct memory_broker *broker, size_t n, size_t bytes, weir_nsec deadline)
{
	broker->coming += n;
	int code = weir_sem_acquire(broker->room, n, deadline);
	broker->coming -= n;
	if (code)
		return code;
	code = weir_sem_acquire(broker->bytes, bytes, deadline);
	if (!code && broker->stopped) {
		weir_sem_release(broker->bytes, bytes);
		code = WEIR_ECLOSED;
	}
	if (code)
		weir_sem_release(broker->room, n);
	return code;
}

static int memory_put(struct broker *handle, struct item *const *items, size_t n, const struct source_cursor *was,
		      const struct source_cursor *cursor, struct weir_error *err, weir_nsec deadline)
{
	struct memory_broker *broker = (struct memory_broker *)handle;
	(void)was, (void)cursor, (void)err;
	int code = broker->stopped ? WEIR_ECLOSED : take_room(broker, n, bytes_of(items, n), deadline);
	if (code)
		return code;
	broker->accounts.read += n;
	for (size_t i = 0; i < n; i++) {
		items[i]->id = ++broker->last_id;
		broker_line_add(&broker->line, items[i]);
	}
	return 0;
}

static void close_if_done(struct memory_broker *broker)
{
	if (broker->sealed && !broker_line_items(&broker->line))
		broker_line_close(&broker->line);
}

static int memory_seal(struct broker *handle, struct weir_error *err, weir_nsec deadline)
{
	struct memory_broker *broker = (struct memory_broker *)handle;
	(void)err, (void)deadline;
	broker->sealed = true;
	close_if_done(broker);
	return 0;
}

/* An item may be handed over while stop() comes: then it goes back, unfinished. */
static int memory_lease(struct broker *handle, struct item **ret_items, size_t max, struct weir_error *err,
			weir_nsec deadline)
{
	struct memory_broker *broker = (struct memory_broker *)handle;
	(void)err;
	int n = broker->stopped ? WEIR_ECLOSED : broker_line_take(&broker->line, ret_items, max, deadline);
	for (int i = 0; i < n; i++)
		weir_sem_release(broker->bytes, ret_items[i]->record.len);
	return n;
}

static int memory_ack(struct broker *handle, struct item *const *items, size_t n, enum broker_outlet outlet,
		      const struct value *position, struct weir_error *err, weir_nsec deadline)
{
	struct memory_broker *broker = (struct memory_broker *)handle;
	(void)outlet, (void)position, (void)err, (void)deadline;
	size_t bytes = bytes_of(items, n);
	for (size_t i = 0; i < n; i++) {
		broker_count(&broker->accounts, items[i]->fate, 1);
		item_free(items[i]);
	}
	broker_line_forget(&broker->line, n);
	weir_sem_release(broker->room, n);
	weir_sem_release(broker->bytes, bytes);
	close_if_done(broker);
	return 0;
}

static int memory_nack(struct broker *handle, struct item *item, weir_nsec wait, struct weir_error *err,
		       weir_nsec deadline)
{
	struct memory_broker *broker = (struct memory_broker *)handle;
	(void)err, (void)deadline;
	weir_sem_withdraw(broker->bytes, item->record.len);
	broker_line_give_back(&broker->line, item, wait);
	return 0;
}

static void memory_stop(struct broker *handle)
{
	struct memory_broker *broker = (struct memory_broker *)handle;
	broker->stopped = true;
	broker_line_close(&broker->line);
}

static void memory_grow(struct broker *handle, size_t capacity)
{
	struct memory_broker *broker = (struct memory_broker *)handle;
	capacity = capacity < broker->most ? capacity : broker->most;
	if (capacity <= broker->capacity)
		return;
	weir_sem_release(broker->room, capacity - broker->capacity);
	broker->capacity = capacity;
}

static void memory_look(struct broker *handle)
{
	broker_line_look(&((struct memory_broker *)handle)->line);
}

/* One that has no room for the put that waits is full, however many items that has. */
static double filled(const struct memory_broker *broker)
{
	size_t wanted = broker->capacity - weir_sem_available(broker->room) + broker->coming;
	return wanted < broker->capacity ? (double)wanted / (double)broker->capacity : 1;
}

static void memory_counts(const struct broker *handle, struct broker_counts *ret_counts)
{
	const struct memory_broker *broker = (const struct memory_broker *)handle;
	const struct broker_line *line = &broker->line;
	*ret_counts = (struct broker_counts){
		.accounts = broker->accounts,
		.ready = line->n,
		.leased = line->leased,
		.waiting = line->waiting.n,
		.filled = filled(broker),
		.ended = broker->sealed && !broker_line_items(line),
	};
}

static int memory_audit(struct broker *handle, struct weir_error *err, weir_nsec deadline)
{
	struct memory_broker *broker = (struct memory_broker *)handle;
	(void)deadline;
	return broker_check_accounts(&broker->accounts, broker_line_items(&broker->line), err);
}

static int memory_close(struct broker *handle, struct weir_error *err)
{
	struct memory_broker *broker = (struct memory_broker *)handle;
	(void)err;
	free_broker(broker);
	return 0;
}

static const struct broker_ops memory_ops = {
	.exactness = BROKER_FORGETS,
	.queue = {.put_most = BROKER_PUT_MAX,
		  .put = memory_put,
		  .seal = memory_seal,
		  .lease = memory_lease,
		  .ack = memory_ack,
		  .nack = memory_nack,
		  .stop = memory_stop,
		  .grow = memory_grow,
		  .look = memory_look,
		  .counts = memory_counts},
	.journal = {.recall = memory_recall, .begin = memory_begin, .audit = memory_audit},
	.open = memory_open,
	.close = memory_close,
};

const struct adapter broker_memory_adapter = {
	.kind = ADAPTER_BROKER,
	.name = "memory",
	.text = "Keeps accepted items in memory; what is unfinished when weir ends is read again by the next run",
	.broker = &memory_ops,
};
