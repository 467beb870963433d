/* SPDX-License-Identifier: MIT */
/* What the tests of the durable broker share: opening it, putting, waiting, counting. */
#ifndef UNIT_BROKERS_H
#define UNIT_BROKERS_H

#include "port/adapters.h"
#include "sqlite/broker/durable.h"
#include "unit/fibers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <weir/random.h>
#include <weir/weir.h>

static const struct broker_ops *ops;
static struct weir_error err;

#define ck_zero(call) ck_assert_msg((call) == 0, "%s", err.text)

struct setting {
	size_t window_items, window_bytes;
	uint64_t max_size;
	int64_t max_items;
	bool again; /* the source can be read again; else it is taken as far as the store reaches */
};

static const struct setting roomy = {1000, 1 << 20, 1 << 30, 1 << 30};

static inline const char *new_folder(void)
{
	static int number;
	const char *folder = test_format("%s/%d", test_folder(), number++);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	return folder;
}

/* Only opens it. */
static inline struct broker *open_to_look(const char *folder, const struct setting *setting)
{
	static struct broker_sqlite_config configs[8];
	static unsigned next;
	struct broker_sqlite_config *config = &configs[next++ % 8];
	struct broker_options opts = {
		.folder = folder, .capacity_items = setting->window_items, .capacity_bytes = setting->window_bytes};
	struct broker *broker;
	ops = broker_sqlite_adapter.broker;
	*config = (struct broker_sqlite_config){.max_size = setting->max_size, .max_items = setting->max_items};
	ck_zero(ops->open(config, &opts, &broker, &err));
	return broker;
}

/* Begins, or goes on where the folder's state was left. */
static inline struct broker *open_broker(const char *folder, const struct setting *setting)
{
	struct broker *broker = open_to_look(folder, setting);
	const struct broker_start start = {
		.run = "0123456789abcdef0123456789abcdef", .plan = "plan", .source = setting->again ? "source" : ""};
	ck_zero(ops->journal.begin(broker, &start, &err, WEIR_FOREVER));
	return broker;
}

static inline struct item *make_item(uint64_t position, size_t bytes)
{
	static char text[2048];
	struct item *item = item_new();
	ck_assert(bytes + 20 < sizeof text);
	int n = snprintf(text, sizeof text, "%llu", (unsigned long long)position);
	memset(text + n, '0', bytes);
	item->position = position;
	quick_assert(value_copy(&item->source, text, (size_t)n + bytes) == 0);
	return item;
}

/* Puts the items from..to as one batch; frees them when that fails. */
static inline int put_range(struct broker *broker, uint64_t from, uint64_t to, size_t bytes, weir_nsec deadline)
{
	struct item *items[BROKER_PUT_MAX];
	struct source_cursor cursor;
	size_t n = 0;
	for (uint64_t i = from; i <= to; i++)
		items[n++] = make_item(i, bytes);
	snprintf(cursor.text, sizeof cursor.text, "%llu", (unsigned long long)to);
	int code = ops->queue.put(broker, items, n, NULL, &cursor, &err, deadline);
	for (size_t i = 0; code && i < n; i++)
		item_free(items[i]);
	return code;
}

static inline struct sqlite_broker *durable(struct broker *broker)
{
	return (struct sqlite_broker *)broker;
}

static inline uint64_t unfinished(const struct broker *broker)
{
	struct broker_counts counts;
	ops->queue.counts(broker, &counts);
	return counts.ready + counts.leased + counts.waiting;
}

static inline uint64_t letters(const struct broker *broker)
{
	struct broker_counts counts;
	ops->queue.counts(broker, &counts);
	return counts.letters;
}

struct putter {
	struct broker *broker;
	uint64_t from, to;
	size_t bytes;
	int code;
};

static inline int put_later(void *arg)
{
	struct putter *putter = arg;
	putter->code = put_range(putter->broker, putter->from, putter->to, putter->bytes, WEIR_FOREVER);
	return 0;
}

static int lease_code;
static struct item *leased_item;

static inline int lease_for_ever(void *arg)
{
	lease_code = ops->queue.lease(arg, &leased_item, 1, NULL, WEIR_FOREVER);
	return 0;
}

#endif
