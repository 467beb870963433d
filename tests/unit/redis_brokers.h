/* SPDX-License-Identifier: MIT */
/* Workers at a queue on a real redis-server, all in one process: opening them, putting, leasing, settling. */
#ifndef UNIT_REDIS_BROKERS_H
#define UNIT_REDIS_BROKERS_H

#include "port/adapters.h"
#include "redis/broker/state.h"
#include "unit/fibers.h"
#include "unit/redises.h"

#define RUN_1 "0123456789abcdef0123456789abcdef"
#define RUN_2 "abcdef0123456789abcdef0123456789"

static struct weir_error err;
static struct redis_broker_config config;
static struct broker_options opts;
static const struct broker_ops *ops;

#define ck_zero(call) ck_assert_msg((call) == 0, "%s", err.text)

static inline struct redis *begin_server(struct server *server)
{
	struct redis *redis = start_server(server, NULL, NULL);
	ops = broker_redis_adapter.broker;
	config = (struct redis_broker_config){.url = (char *)(uintptr_t)server->url,
					      .lease = WEIR_SEC,
					      .deaths = 3,
					      .max_items = 1000,
					      .max_size = 1 << 30};
	opts = (struct broker_options){.name = "a {b}", .capacity_items = 100, .most_items = 100};
	return redis;
}

static inline struct broker *open_only(void)
{
	struct broker *broker;
	ck_zero(ops->open(&config, &opts, &broker, &err));
	return broker;
}

static inline int try_begin(struct broker *broker, const char *was, const char *source)
{
	const struct broker_start start = {
		.was = was, .run = RUN_1, .plan = "plan", .source = source, .file = "f.yaml"};
	return ops->journal.begin(broker, &start, &err, WEIR_FOREVER);
}

/* The first worker begins the run, the others join it. */
static inline struct broker *open_worker(const char *was, const char *source)
{
	struct broker *broker = open_only();
	ck_zero(try_begin(broker, was, source));
	return broker;
}

static inline void close_worker(struct broker *broker)
{
	ck_zero(ops->close(broker, &err));
}

static inline struct item *make_item(uint64_t position)
{
	struct item *item = item_new();
	const char *text = test_format("{\"n\":%llu}", (unsigned long long)position);
	item->position = position;
	item->born = weir_clock();
	quick_assert(value_copy(&item->source, text, strlen(text)) == 0);
	return item;
}

static inline struct source_cursor cursor_at(uint64_t position)
{
	struct source_cursor cursor = {{0}};
	if (position)
		snprintf(cursor.text, sizeof cursor.text, "%llu", (unsigned long long)position);
	return cursor;
}

/* The items from..to as one batch; freed when that fails. */
static inline int put_range(struct broker *broker, uint64_t from, uint64_t to, weir_nsec deadline)
{
	struct item *items[BROKER_PUT_MAX];
	struct source_cursor was = cursor_at(from - 1), cursor = cursor_at(to);
	size_t n = 0;
	for (uint64_t i = from; i <= to; i++)
		items[n++] = make_item(i);
	int code = ops->queue.put(broker, items, n, &was, &cursor, &err, deadline);
	for (size_t i = 0; code && i < n; i++)
		item_free(items[i]);
	return code;
}

static inline struct item *lease_one(struct broker *broker)
{
	struct item *item;
	int n = ops->queue.lease(broker, &item, 1, &err, weir_now() + 20 * WEIR_SEC);
	ck_assert_msg(n == 1, "%d %s", n, err.text);
	return item;
}

static inline void ack_one(struct broker *broker, struct item *item)
{
	ck_zero(ops->queue.ack(broker, &item, 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
}

static inline struct broker_counts counts_of(const struct broker *broker)
{
	struct broker_counts counts;
	ops->queue.counts(broker, &counts);
	return counts;
}

static inline const char *worker_name(const struct broker *broker)
{
	return ((const struct redis_broker *)broker)->name;
}

/* The run is over, and nothing is missing. */
static inline void check_end(struct broker *broker, uint64_t read, uint64_t succeeded, uint64_t dead)
{
	struct item *item;
	ck_assert_int_eq(ops->queue.lease(broker, &item, 1, &err, WEIR_FOREVER), WEIR_ECLOSED);
	ck_zero(ops->journal.audit(broker, &err, WEIR_FOREVER));
	struct broker_counts counts = counts_of(broker);
	ck_assert_uint_eq(counts.accounts.read, read);
	ck_assert_uint_eq(counts.accounts.succeeded, succeeded);
	ck_assert_uint_eq(counts.accounts.dead, dead);
	ck_assert(counts.ended && !counts.ready && !counts.leased && !counts.waiting);
}

#define KEY "weir:{a%20%7Bb%7D}:"

#endif
