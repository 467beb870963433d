/* SPDX-License-Identifier: MIT */
/*
 * The durable broker: against a naive model, in random orders; what a crash leaves; its bounds; a store that says no.
 */
#include "broker/durable.h"
#include "port/adapters.h"
#include "unit/fibers.h"

#include <malloc.h>
#include <sqlite3.h>
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

static const char *new_folder(void)
{
	static int number;
	const char *folder = test_format("%s/%d", test_folder(), number++);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	return folder;
}

/* Begins, or goes on where the folder's state was left. */
static struct broker *open_broker(const char *folder, const struct setting *setting)
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
	const struct broker_start start = {
		.run = "0123456789abcdef0123456789abcdef", .plan = "plan", .source = setting->again ? "source" : ""};
	ck_zero(ops->start(broker, &start, &err, WEIR_FOREVER));
	return broker;
}

static struct item *make_item(uint64_t position, size_t bytes)
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
static int put_range(struct broker *broker, uint64_t from, uint64_t to, size_t bytes, weir_nsec deadline)
{
	struct item *items[BROKER_PUT_MAX];
	struct source_cursor cursor;
	size_t n = 0;
	for (uint64_t i = from; i <= to; i++)
		items[n++] = make_item(i, bytes);
	snprintf(cursor.text, sizeof cursor.text, "%llu", (unsigned long long)to);
	int code = ops->put(broker, items, n, &cursor, &err, deadline);
	for (size_t i = 0; code && i < n; i++)
		item_free(items[i]);
	return code;
}

static uint64_t unfinished(const struct broker *broker)
{
	struct broker_counts counts;
	ops->counts(broker, &counts);
	return counts.ready + counts.leased + counts.waiting;
}

static uint64_t letters(const struct broker *broker)
{
	struct broker_counts counts;
	ops->counts(broker, &counts);
	return counts.letters;
}

/* --- against a model --- */

enum { MODEL_ITEMS = 400, MODEL_LEASED = 12 };
enum where { UNREAD, READY, LEASED, SETTLED, DEAD, PURGED };

struct model {
	struct broker *broker;
	const char *folder;
	uint64_t random;
	struct {
		enum where where;
		unsigned attempts;
		weir_nsec due;
		char why[32];
	} items[MODEL_ITEMS + 1];
	struct item *leased[MODEL_LEASED];
	size_t leased_count;
	uint64_t read;
};

static const struct setting tight = {16, 300, 1 << 30, 1 << 30};

static uint64_t below(struct model *model, uint64_t n)
{
	return weir_random_below(&model->random, n);
}

static uint64_t count_where(const struct model *model, enum where where)
{
	uint64_t n = 0;
	for (size_t i = 1; i <= MODEL_ITEMS; i++)
		n += model->items[i].where == where;
	return n;
}

static void check_counts(const struct model *model)
{
	quick_assert(unfinished(model->broker) == count_where(model, READY) + count_where(model, LEASED));
	quick_assert(letters(model->broker) == count_where(model, DEAD));
	quick_assert(model->broker->held_items <= tight.window_items);
	quick_assert(model->broker->held_bytes <= tight.window_bytes);
}

static void model_put(struct model *model)
{
	uint64_t n = 1 + below(model, 20);
	if (model->read + n > MODEL_ITEMS)
		return;
	ck_zero(put_range(model->broker, model->read + 1, model->read + n, below(model, 30), WEIR_TRY));
	while (n--)
		model->items[++model->read].where = READY;
}

static bool is_source_of(const struct item *item)
{
	const char *position = test_format("%llu", (unsigned long long)item->position);
	size_t n = strlen(position);
	return item->source.len >= n && memcmp(item->source.data, position, n) == 0 &&
	       strspn(item->source.data + n, "0") == item->source.len - n;
}

static void model_lease(struct model *model)
{
	size_t max = 1 + below(model, MODEL_LEASED);
	struct item **at = &model->leased[model->leased_count];
	if (max > MODEL_LEASED - model->leased_count)
		return;
	int n = ops->lease(model->broker, at, max, &err, weir_now() + (weir_nsec)below(model, 10) * WEIR_MSEC);
	if (n < 0) {
		quick_assert(n == WEIR_ETIMEDOUT);
		return;
	}
	for (int i = 0; i < n; i++) {
		const struct item *item = at[i];
		quick_assert(item->position >= 1 && item->position <= model->read);
		quick_assert(model->items[item->position].where == READY);
		quick_assert(model->items[item->position].attempts == item->attempts);
		quick_assert(strcmp(model->items[item->position].why, item->why) == 0);
		quick_assert(model->items[item->position].due <= weir_now());
		quick_assert(is_source_of(item));
		model->items[item->position].where = LEASED;
	}
	model->leased_count += (size_t)n;
}

static struct item *take_leased(struct model *model)
{
	size_t at = below(model, model->leased_count);
	struct item *item = model->leased[at];
	model->leased[at] = model->leased[--model->leased_count];
	return item;
}

static void model_ack(struct model *model)
{
	struct item *items[MODEL_LEASED];
	size_t n = model->leased_count ? 1 + below(model, model->leased_count) : 0;
	for (size_t i = 0; i < n; i++) {
		items[i] = take_leased(model);
		items[i]->fate = below(model, 2) ? FATE_SUCCEEDED : FATE_DROPPED;
		model->items[items[i]->position].where = SETTLED;
	}
	if (n)
		ck_zero(ops->ack(model->broker, items, n, LANE_SINK, NULL, &err, WEIR_FOREVER));
}

static void model_nack(struct model *model)
{
	if (!model->leased_count)
		return;
	struct item *item = take_leased(model);
	weir_nsec due = weir_now() + (weir_nsec)below(model, 3) * 20 * WEIR_MSEC;
	if (below(model, 3)) {
		item->attempts++;
		item_set_why(item, "try %u", item->attempts);
	}
	model->items[item->position].where = READY;
	model->items[item->position].attempts = item->attempts;
	model->items[item->position].due = due;
	strcpy(model->items[item->position].why, item->why);
	ops->nack(model->broker, item, due);
}

static void model_bury(struct model *model)
{
	if (!model->leased_count)
		return;
	struct item *item = take_leased(model);
	item_set_why(item, "dead %llu", (unsigned long long)item->position);
	model->items[item->position].where = DEAD;
	ops->bury(model->broker, item);
}

/* What the letters with "7" in their reason become. */
static uint64_t move_letters(struct model *model, enum where where)
{
	uint64_t n = 0;
	for (size_t i = 1; i <= MODEL_ITEMS; i++) {
		if (model->items[i].where != DEAD || !strchr(test_format("%zu", i), '7'))
			continue;
		n++;
		memset(&model->items[i], 0, sizeof model->items[i]);
		model->items[i].where = where;
	}
	return n;
}

static void model_replay(struct model *model)
{
	uint64_t n;
	ck_zero(ops->replay(model->broker, &(struct letter_query){.reason = "7"}, &n, &err, WEIR_FOREVER));
	ck_assert_uint_eq(n, move_letters(model, READY));
}

static void model_purge(struct model *model)
{
	uint64_t n;
	ck_zero(ops->purge(model->broker, &(struct letter_query){.reason = "7"}, &n, &err, WEIR_FOREVER));
	ck_assert_uint_eq(n, move_letters(model, PURGED));
}

static void give_all_back(struct model *model)
{
	while (model->leased_count)
		model_nack(model);
}

static void model_reopen(struct model *model)
{
	give_all_back(model);
	if (below(model, 2))
		ops->stop(model->broker);
	ck_zero(ops->close(model->broker, &err));
	model->broker = open_broker(model->folder, &tight);
	/* Due times are wall times on disk, and the test's clock is another one. */
	for (size_t i = 1; i <= MODEL_ITEMS; i++)
		model->items[i].due = 0;
}

static void model_sleep(struct model *model)
{
	weir_sleep((weir_nsec)below(model, 50) * WEIR_MSEC);
}

static void model_step(struct model *model)
{
	static const struct {
		unsigned weight;
		void (*run)(struct model *model);
	} steps[] = {{20, model_put},   {40, model_lease}, {10, model_ack},   {25, model_nack}, {8, model_bury},
		     {2, model_replay}, {1, model_purge},  {1, model_reopen}, {10, model_sleep}};
	uint64_t at = below(model, 117);
	for (size_t i = 0;; at -= steps[i++].weight) {
		if (at < steps[i].weight) {
			steps[i].run(model);
			return;
		}
	}
}

static void drain_model(struct model *model)
{
	give_all_back(model);
	ck_zero(ops->seal(model->broker, &err, WEIR_FOREVER));
	int code;
	while ((code = ops->lease(model->broker, model->leased, 1, &err, weir_now() + 60 * WEIR_SEC)) == 1) {
		struct item *item = model->leased[0];
		quick_assert(model->items[item->position].where == READY);
		quick_assert(model->items[item->position].due <= weir_now());
		model->items[item->position].where = SETTLED;
		item->fate = FATE_SUCCEEDED;
		ck_zero(ops->ack(model->broker, &item, 1, LANE_SINK, NULL, &err, WEIR_FOREVER));
	}
	ck_assert_int_eq(code, WEIR_ECLOSED);
}

FIBER_TEST(broker_sqlite_agrees_with_a_naive_model)
{
	struct model *model = calloc(1, sizeof *model);
	struct broker_past past;
	model->folder = new_folder();
	model->random = test_seed() + 1;
	model->broker = open_broker(model->folder, &tight);
	for (int i = 0; i < 2000; i++) {
		model_step(model);
		check_counts(model);
	}
	drain_model(model);
	check_counts(model);
	uint64_t dead = count_where(model, DEAD) + count_where(model, PURGED);
	ck_zero(ops->close(model->broker, &err));
	model->broker = open_broker(model->folder, &tight);
	ck_zero(ops->recall(model->broker, &past));
	ck_assert(past.done && past.sealed && past.unfinished == 0);
	ck_assert_uint_eq(past.accounts.read, model->read);
	ck_assert_uint_eq(past.accounts.succeeded + past.accounts.dropped, count_where(model, SETTLED));
	ck_assert_uint_eq(past.accounts.dead, dead);
	ck_assert_uint_eq((uint64_t)atoll(past.cursor.text), model->read);
	broker_past_fini(&past);
	ck_zero(ops->close(model->broker, &err));
	free(model);
}

/* --- bounds --- */

FIBER_TEST(broker_sqlite_keeps_the_window_bounded_whatever_is_on_disk)
{
	enum { ITEMS = 100000 };
	static const struct setting setting = {100, 10000, 1 << 30, 1 << 30};
	struct broker *broker = open_broker(new_folder(), &setting);
	struct item *items[50];
	if (test_seed() > 1) {
		ck_zero(ops->close(broker, &err));
		return;
	}
	uint64_t next = 1, put = 0;
	int n = 0;
	/* At first nothing is taken out, then less than comes in, then all. */
	while (n >= 0) {
		if (put < ITEMS)
			ck_zero(put_range(broker, put + 1, put + 250, 20, WEIR_FOREVER));
		else if (!broker->sealed)
			ck_zero(ops->seal(broker, &err, WEIR_FOREVER));
		put += put < ITEMS ? 250 : 0;
		quick_assert(unfinished(broker) == put - next + 1);
		quick_assert(broker->held_items <= 100 && broker->held_bytes <= 10000);
		n = put < ITEMS / 2 ? 0 : ops->lease(broker, items, 50, &err, WEIR_FOREVER);
		for (int i = 0; i < n; i++)
			quick_assert(items[i]->position == next++);
		if (n > 0)
			ck_zero(ops->ack(broker, items, (size_t)n, LANE_SINK, NULL, &err, WEIR_FOREVER));
	}
	ck_assert_int_eq(n, WEIR_ECLOSED);
	ck_assert_uint_eq(next, ITEMS + 1);
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_does_not_read_ahead_of_the_window_what_can_be_read_again)
{
	static const struct setting setting = {
		.window_items = 100, .window_bytes = 1 << 20, .max_size = 1 << 30, .max_items = 1 << 30, .again = true};
	struct broker *broker = open_broker(new_folder(), &setting);
	struct item *item;
	ck_zero(put_range(broker, 1, 60, 20, WEIR_TRY));
	ck_zero(put_range(broker, 61, 100, 20, WEIR_TRY));
	ck_assert_int_eq(put_range(broker, 101, 101, 20, weir_after(WEIR_SEC)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(ops->lease(broker, &item, 1, &err, WEIR_FOREVER), 1);
	ck_zero(ops->ack(broker, &item, 1, LANE_SINK, NULL, &err, WEIR_FOREVER));
	ck_zero(put_range(broker, 101, 101, 20, WEIR_TRY));
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_loads_an_item_that_is_larger_than_the_window)
{
	static const struct setting setting = {4, 100, 1 << 30, 1 << 30};
	struct broker *broker = open_broker(new_folder(), &setting);
	struct item *item;
	for (uint64_t i = 1; i <= 9; i += 3)
		ck_zero(put_range(broker, i, i + 2, 1000, WEIR_TRY));
	for (uint64_t i = 1; i <= 9; i++) {
		ck_assert_int_eq(ops->lease(broker, &item, 1, &err, WEIR_FOREVER), 1);
		ck_assert_uint_eq(item->position, i);
		ck_assert_uint_eq(broker->held_items, 1);
		ck_zero(ops->ack(broker, &item, 1, LANE_SINK, NULL, &err, WEIR_FOREVER));
	}
	ck_zero(ops->close(broker, &err));
}

struct putter {
	struct broker *broker;
	uint64_t from, to;
	size_t bytes;
	int code;
};

static int put_later(void *arg)
{
	struct putter *putter = arg;
	putter->code = put_range(putter->broker, putter->from, putter->to, putter->bytes, WEIR_FOREVER);
	return 0;
}

FIBER_TEST(broker_sqlite_put_waits_for_room_and_goes_on)
{
	static const struct setting setting = {100, 10000, 1 << 30, 10};
	struct broker *broker = open_broker(new_folder(), &setting);
	struct putter putter = {broker, 9, 14, 10, UNANSWERED};
	struct weir_group *group = new_group();
	struct item *items[10];
	ck_zero(put_range(broker, 1, 8, 10, WEIR_TRY));
	spawn(group, put_later, &putter);
	ck_assert_int_eq(weir_group_wait(group, weir_now() + WEIR_SEC), WEIR_ETIMEDOUT);
	ck_assert_int_eq(ops->lease(broker, items, 8, &err, WEIR_TRY), 8);
	/* All of it waits for an hour: so does the put, and nothing else is lost by that. */
	for (int i = 4; i < 8; i++)
		ops->nack(broker, items[i], weir_now() + 3600 * WEIR_SEC);
	ck_zero(ops->ack(broker, items, 3, LANE_SINK, NULL, &err, WEIR_FOREVER));
	ck_assert_int_eq(weir_group_wait(group, weir_now() + WEIR_SEC), WEIR_ETIMEDOUT);
	ck_zero(ops->ack(broker, &items[3], 1, LANE_SINK, NULL, &err, WEIR_FOREVER));
	finish(group);
	ck_assert_int_eq(putter.code, 0);
	ck_assert_uint_eq(unfinished(broker), 10);
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_put_larger_than_the_store_goes_in_alone)
{
	static const struct setting setting = {300, 1 << 20, 100, 10};
	struct broker *broker = open_broker(new_folder(), &setting);
	struct putter putter = {broker, 101, 200, 50, UNANSWERED};
	struct weir_group *group = new_group();
	struct item *items[100];
	ck_zero(put_range(broker, 1, 100, 50, WEIR_TRY));
	ck_assert_int_eq(put_range(broker, 101, 101, 50, WEIR_TRY), WEIR_EAGAIN);
	spawn(group, put_later, &putter);
	ck_assert_int_eq(ops->lease(broker, items, 100, &err, WEIR_TRY), 100);
	ops->bury(broker, items[99]);
	ck_zero(ops->ack(broker, items, 98, LANE_SINK, NULL, &err, WEIR_FOREVER));
	ck_assert_int_eq(weir_group_wait(group, weir_now() + WEIR_SEC), WEIR_ETIMEDOUT);
	ck_zero(ops->ack(broker, &items[98], 1, LANE_SINK, NULL, &err, WEIR_FOREVER));
	finish(group);
	ck_assert_int_eq(putter.code, 0);
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_stop_ends_a_put_that_waits)
{
	static const struct setting setting = {100, 10000, 1 << 30, 1};
	struct broker *broker = open_broker(new_folder(), &setting);
	struct putter putters[2] = {{broker, 2, 2, 1, UNANSWERED}, {broker, 3, 3, 1, UNANSWERED}};
	struct weir_group *group = new_group();
	ck_zero(put_range(broker, 1, 1, 1, WEIR_TRY));
	spawn(group, put_later, &putters[0]);
	spawn(group, put_later, &putters[1]);
	weir_sleep(WEIR_SEC);
	ops->stop(broker);
	finish(group);
	ck_assert_int_eq(putters[0].code, WEIR_ECLOSED);
	ck_assert_int_eq(putters[1].code, WEIR_ECLOSED);
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_bury_of_the_last_item_ends_the_run)
{
	const char *folder = new_folder();
	struct broker *broker = open_broker(folder, &roomy);
	struct broker_past past;
	struct item *item;
	ck_zero(put_range(broker, 1, 1, 1, WEIR_TRY));
	ck_zero(ops->seal(broker, &err, WEIR_FOREVER));
	ck_assert_int_eq(ops->lease(broker, &item, 1, &err, WEIR_TRY), 1);
	ops->bury(broker, item);
	ck_assert_int_eq(ops->lease(broker, &item, 1, &err, WEIR_FOREVER), WEIR_ECLOSED);
	uint64_t n;
	ck_assert_int_eq(ops->replay(broker, &(struct letter_query){0}, &n, &err, WEIR_FOREVER), WEIR_ECLOSED);
	ck_zero(ops->close(broker, &err));
	broker = open_broker(folder, &roomy);
	ck_zero(ops->recall(broker, &past));
	ck_assert(past.done && past.letters == 1);
	broker_past_fini(&past);
	ck_zero(ops->close(broker, &err));
}

/* --- what a crash leaves --- */

enum { CRASH_ITEMS = 600 };

/* Tells of each item how far its story was when the copy began, and when it was made. */
static struct crash {
	struct broker *broker;
	uint64_t random;
	bool was_put[CRASH_ITEMS + 1]; /* put() has returned */
	bool leaving[CRASH_ITEMS + 1]; /* ack() or bury() was called */
	bool settled[CRASH_ITEMS + 1]; /* ack() has returned */
	bool over;
} crash;

static int put_all(void *arg)
{
	(void)arg;
	for (uint64_t from = 1; from <= CRASH_ITEMS;) {
		uint64_t to = from + weir_random_below(&crash.random, 20);
		to = to < CRASH_ITEMS ? to : CRASH_ITEMS;
		ck_zero(put_range(crash.broker, from, to, 30, WEIR_FOREVER));
		while (from <= to)
			crash.was_put[from++] = true;
		weir_sleep((weir_nsec)weir_random_below(&crash.random, 10) * WEIR_MSEC);
	}
	ck_zero(ops->seal(crash.broker, &err, WEIR_FOREVER));
	return 0;
}

static void settle_one(struct item *item)
{
	uint64_t position = item->position;
	switch (weir_random_below(&crash.random, 10)) {
	case 0:
	case 1:
	case 2:
		item->attempts++;
		ops->nack(crash.broker, item, weir_now() + WEIR_MSEC);
		break;
	case 3:
		crash.leaving[position] = true;
		ops->bury(crash.broker, item);
		break;
	default:
		crash.leaving[position] = true;
		ck_zero(ops->ack(crash.broker, &item, 1, LANE_SINK, NULL, &err, WEIR_FOREVER));
		crash.settled[position] = true;
	}
}

static int work_all(void *arg)
{
	(void)arg;
	struct item *item;
	int code;
	while ((code = ops->lease(crash.broker, &item, 1, &err, WEIR_FOREVER)) == 1) {
		weir_sleep((weir_nsec)weir_random_below(&crash.random, 5) * WEIR_MSEC);
		settle_one(item);
	}
	ck_assert_int_eq(code, WEIR_ECLOSED);
	crash.over = true;
	return 0;
}

struct copy {
	const char *from, *to;
};

static void copy_file(const struct copy *copy, const char *name)
{
	static char bytes[1 << 16];
	FILE *from = fopen(test_format("%s/%s", copy->from, name), "re");
	if (!from)
		return;
	FILE *to = fopen(test_format("%s/%s", copy->to, name), "we");
	size_t n;
	while ((n = fread(bytes, 1, sizeof bytes, from)))
		quick_assert(fwrite(bytes, 1, n, to) == n);
	fclose(from);
	fclose(to);
}

/* On the store's thread: no commit is half way. */
static int copy_folder(void *arg)
{
	copy_file(arg, STORE_FILE);
	copy_file(arg, STORE_FILE "-wal");
	return 0;
}

/* Opens a copy and holds what is in it against what was known before it was begun and after it was made. */
static void check_copy(const char *folder, const struct crash *before, const struct crash *after)
{
	static const struct setting setting = {CRASH_ITEMS, 1 << 20, 1 << 30, 1 << 30};
	struct broker *broker = open_broker(folder, &setting);
	bool inside[CRASH_ITEMS + 1] = {0};
	struct item *item;
	uint64_t n = unfinished(broker), dead = letters(broker);
	for (uint64_t i = 0; i < n; i++) {
		ck_assert_int_eq(ops->lease(broker, &item, 1, &err, WEIR_FOREVER), 1);
		quick_assert(!inside[item->position]);
		inside[item->position] = true;
		ops->nack(broker, item, weir_now() + 3600 * WEIR_SEC);
	}
	for (int i = 1; i <= CRASH_ITEMS; i++) {
		quick_assert(inside[i] || !before->was_put[i] || after->leaving[i]);
		quick_assert(!inside[i] || !before->settled[i]);
	}
	uint64_t buried = 0, settled = 0;
	for (int i = 1; i <= CRASH_ITEMS; i++) {
		buried += after->leaving[i] && !inside[i];
		settled += before->settled[i];
	}
	ck_assert_uint_le(dead, buried - settled);
	ck_zero(ops->close(broker, &err));
}

static void copy_and_check(const char *folder)
{
	struct copy copy = {folder, new_folder()};
	struct crash *before = malloc(sizeof *before), *after = malloc(sizeof *after);
	*before = crash;
	ck_zero(broker_on_thread(crash.broker, copy_folder, &copy));
	*after = crash;
	check_copy(copy.to, before, after);
	free(before);
	free(after);
}

FIBER_TEST(broker_sqlite_crash_loses_nothing_and_brings_nothing_back)
{
	static const struct setting setting = {40, 4000, 1 << 30, 200};
	const char *folder = new_folder();
	struct weir_group *group = new_group();
	crash = (struct crash){.random = test_seed() + 7};
	crash.broker = open_broker(folder, &setting);
	spawn(group, put_all, NULL);
	for (int i = 0; i < 8; i++)
		spawn(group, work_all, NULL);
	for (int i = 0; i < 10 && !crash.over; i++) {
		weir_sleep((weir_nsec)weir_random_below(&crash.random, 40) * WEIR_MSEC);
		copy_and_check(folder);
	}
	finish(group);
	copy_and_check(folder);
	ck_zero(ops->close(crash.broker, &err));
}

/* --- a store that says no --- */

/* The files of SQLite's own VFS, some of whose calls fail when told to. */
static struct disk {
	sqlite3_vfs vfs, *real;
	struct {
		const sqlite3_io_methods *real;
		sqlite3_io_methods methods;
	} kinds[4]; /* of files: with locks and without */
	int (*write)(sqlite3_file *, const void *, int, sqlite3_int64);
	int (*sync)(sqlite3_file *, int);
	/* told */
	sqlite3_int64 most;      /* no file becomes longer; 0: any length */
	bool full, broken, lazy; /* lazy: a sync does nothing */
} disk;

static int disk_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at)
{
	if (disk.full || (disk.most && at + n > disk.most))
		return SQLITE_FULL;
	return disk.write(file, bytes, n, at);
}

static int disk_sync(sqlite3_file *file, int flags)
{
	if (disk.broken)
		return SQLITE_IOERR_FSYNC;
	return disk.lazy ? SQLITE_OK : disk.sync(file, flags);
}

static int disk_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *ret_flags)
{
	(void)vfs;
	int code = disk.real->xOpen(disk.real, name, file, flags, ret_flags);
	if (code != SQLITE_OK)
		return code;
	size_t kind = 0;
	while (disk.kinds[kind].real && disk.kinds[kind].real != file->pMethods)
		kind++;
	disk.write = file->pMethods->xWrite;
	disk.sync = file->pMethods->xSync;
	disk.kinds[kind].real = file->pMethods;
	disk.kinds[kind].methods = *file->pMethods;
	disk.kinds[kind].methods.xWrite = disk_write;
	disk.kinds[kind].methods.xSync = disk_sync;
	file->pMethods = &disk.kinds[kind].methods;
	return SQLITE_OK;
}

static void use_disk(void)
{
	disk.full = disk.broken = disk.lazy = false;
	disk.most = 0;
	if (disk.real)
		return;
	disk.real = sqlite3_vfs_find(NULL);
	disk.vfs = *disk.real;
	disk.vfs.pNext = NULL;
	disk.vfs.zName = "disk";
	disk.vfs.xOpen = disk_open;
	ck_assert_int_eq(sqlite3_vfs_register(&disk.vfs, 1), SQLITE_OK);
}

static bool degraded(const struct broker *broker)
{
	struct broker_counts counts;
	ops->counts(broker, &counts);
	return counts.degraded;
}

FIBER_TEST(broker_sqlite_full_disk_pauses_and_goes_on)
{
	const char *folder = new_folder();
	struct item *items[10];
	struct weir_error own;
	use_disk();
	struct broker *broker = open_broker(folder, &roomy);
	ck_zero(put_range(broker, 1, 10, 10, WEIR_TRY));
	ck_assert_int_eq(ops->lease(broker, items, 10, &err, WEIR_TRY), 10);
	disk.full = true;
	ck_assert_int_eq(put_range(broker, 11, 12, 10, WEIR_FOREVER), WEIR_ENOSPC);
	ck_assert_int_eq(ops->ack(broker, items, 2, LANE_SINK, NULL, &own, WEIR_FOREVER), WEIR_ENOSPC);
	ck_assert(degraded(broker));
	/* The same items fail again and again: one row each, whatever the disk says. */
	for (int i = 0; i < 1000; i++) {
		items[3]->attempts++;
		ops->nack(broker, items[3], weir_now());
		ck_assert_int_eq(ops->lease(broker, &items[3], 1, &err, WEIR_FOREVER), 1);
		weir_sleep(WEIR_MSEC);
	}
	items[4]->attempts = 3;
	ops->nack(broker, items[4], weir_now() + 3600 * WEIR_SEC);
	item_set_why(items[5], "it is dead");
	ops->bury(broker, items[5]);
	weir_sleep(60 * WEIR_SEC);
	ck_assert(degraded(broker));
	disk.full = false;
	weir_sleep(2 * WEIR_SEC);
	ck_assert(!degraded(broker));
	ck_zero(ops->ack(broker, items, 3, LANE_SINK, NULL, &err, WEIR_FOREVER));
	ck_zero(put_range(broker, 11, 12, 10, WEIR_FOREVER));
	for (int i = 6; i < 10; i++)
		ops->nack(broker, items[i], weir_now() + WEIR_SEC);
	ops->nack(broker, items[3], weir_now() + WEIR_SEC);
	ck_zero(ops->close(broker, &err));
	broker = open_broker(folder, &roomy);
	ck_assert_uint_eq(unfinished(broker), 8);
	ck_assert_uint_eq(letters(broker), 1);
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(ops->lease(broker, items, 1, &err, WEIR_FOREVER), 1);
		uint64_t position = items[0]->position;
		ck_assert_uint_eq(items[0]->attempts, position == 4 ? 1000 : position == 5 ? 3 : 0);
		ck_zero(ops->ack(broker, items, 1, LANE_SINK, NULL, &err, WEIR_FOREVER));
	}
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_acks_get_through_when_a_put_does_not)
{
	struct item *items[3];
	struct weir_group *group = new_group();
	struct stat st;
	const char *folder = new_folder();
	use_disk();
	struct broker *broker = open_broker(folder, &roomy);
	ck_zero(put_range(broker, 1, 3, 10, WEIR_TRY));
	ck_assert_int_eq(ops->lease(broker, items, 3, &err, WEIR_TRY), 3);
	ck_assert_int_eq(stat(test_format("%s/" STORE_FILE "-wal", folder), &st), 0);
	disk.most = st.st_size + 100 * 1024;
	struct putter putter = {broker, 4, 200, 1900, UNANSWERED};
	spawn(group, put_later, &putter);
	items[2]->attempts++;
	ops->nack(broker, items[2], weir_now() + WEIR_SEC);
	ck_zero(ops->ack(broker, items, 2, LANE_SINK, NULL, &err, WEIR_FOREVER));
	finish(group);
	ck_assert_int_eq(putter.code, WEIR_ENOSPC);
	ck_assert_uint_eq(unfinished(broker), 1);
	disk.most = 0;
	ck_zero(put_range(broker, 4, 5, 10, WEIR_TRY));
	ck_zero(ops->close(broker, &err));
}

static int lease_code;
static struct item *leased_item;

static int lease_for_ever(void *arg)
{
	lease_code = ops->lease(arg, &leased_item, 1, NULL, WEIR_FOREVER);
	return 0;
}

FIBER_TEST(broker_sqlite_broken_disk_is_for_good)
{
	const char *folder = new_folder();
	struct weir_group *group = new_group();
	struct item *items[4], *none;
	struct weir_error own;
	use_disk();
	struct broker *broker = open_broker(folder, &roomy);
	ck_zero(put_range(broker, 1, 4, 10, WEIR_TRY));
	ck_assert_int_eq(ops->lease(broker, items, 4, &err, WEIR_TRY), 4);
	spawn(group, lease_for_ever, broker);
	disk.broken = true;
	ck_assert_int_eq(put_range(broker, 5, 6, 10, WEIR_FOREVER), WEIR_EIO);
	finish(group);
	ck_assert_int_eq(lease_code, WEIR_EIO);
	disk.broken = false;
	ck_assert_int_eq(put_range(broker, 5, 6, 10, WEIR_FOREVER), WEIR_EIO);
	ck_assert_int_eq(ops->lease(broker, &none, 1, &own, WEIR_FOREVER), WEIR_EIO);
	ck_assert_str_ne(own.text, "");
	ck_assert_int_eq(ops->ack(broker, items, 2, LANE_SINK, NULL, &own, WEIR_FOREVER), WEIR_EIO);
	ck_assert_int_eq(ops->seal(broker, &own, WEIR_FOREVER), WEIR_EIO);
	for (int i = 0; i < 3; i++)
		ops->nack(broker, items[i], weir_now() + WEIR_SEC);
	ops->bury(broker, items[3]);
	ck_assert_int_eq(ops->close(broker, &own), WEIR_EIO);
	broker = open_broker(folder, &roomy);
	ck_assert_uint_ge(unfinished(broker), 4);
	ck_zero(ops->close(broker, &err));
}

static void fail_for_a_year(struct broker *broker)
{
	struct item *item;
	size_t allocated = 0;
	weir_nsec end = weir_now() + 365 * 86400 * WEIR_SEC;
	ck_zero(put_range(broker, 1, 100, 20, WEIR_TRY));
	for (int n = 0; weir_now() < end; n++) {
		ck_assert_int_eq(ops->lease(broker, &item, 1, &err, WEIR_FOREVER), 1);
		item->attempts++;
		item_set_why(item, "try %u", item->attempts);
		ops->nack(broker, item, weir_now() + 3600 * WEIR_SEC);
		if (n == 10000)
			allocated = mallinfo2().uordblks;
	}
	ck_assert_uint_le(mallinfo2().uordblks, allocated + 10000);
}

static int year(void *arg)
{
	struct stat db, wal;
	const char *folder = arg;
	struct broker *broker = open_broker(folder, &roomy);
	fail_for_a_year(broker);
	ck_assert_int_eq(stat(test_format("%s/" STORE_FILE, folder), &db), 0);
	ck_assert_int_eq(stat(test_format("%s/" STORE_FILE "-wal", folder), &wal), 0);
	ck_assert_int_le(db.st_size + wal.st_size, 24 << 20);
	ck_zero(ops->close(broker, &err));
	return 0;
}

TEST(broker_sqlite_year_of_failures_takes_no_room)
{
	use_disk();
	disk.lazy = true;
	ck_assert_int_eq(run_virtual(1, year, (void *)(uintptr_t)new_folder()), 0);
}

/* --- letters --- */

FIBER_TEST(broker_sqlite_replay_brings_more_to_workers_that_wait_for_the_end)
{
	struct broker *broker = open_broker(new_folder(), &roomy);
	struct weir_group *group = new_group();
	struct item *items[2];
	struct buf text = {0};
	uint64_t n, last_id = 0;
	ck_zero(put_range(broker, 1, 2, 10, WEIR_TRY));
	ck_zero(ops->seal(broker, &err, WEIR_FOREVER));
	ck_assert_int_eq(ops->lease(broker, items, 2, &err, WEIR_TRY), 2);
	item_set_why(items[0], "status: 404");
	ops->bury(broker, items[0]);
	/* It is told of although nothing has waited for it to be written. */
	ck_zero(ops->letters(broker, &(struct letter_query){0}, &text, &last_id, &err, WEIR_FOREVER));
	ck_assert_ptr_nonnull(strstr(text.data, "status: 404"));
	ck_assert_uint_ne(last_id, 0);
	buf_fini(&text);
	lease_code = UNANSWERED;
	spawn(group, lease_for_ever, broker);
	weir_sleep(WEIR_SEC);
	ck_assert_int_eq(lease_code, UNANSWERED);
	ck_zero(ops->replay(broker, &(struct letter_query){.id = last_id}, &n, &err, WEIR_FOREVER));
	ck_assert_uint_eq(n, 1);
	finish(group);
	ck_assert_int_eq(lease_code, 1);
	ck_assert_uint_eq(leased_item->position, 1);
	ck_assert_uint_eq(letters(broker), 0);
	items[0] = leased_item;
	ck_zero(ops->ack(broker, items, 2, LANE_SINK, NULL, &err, WEIR_FOREVER));
	ck_assert_int_eq(ops->lease(broker, items, 1, &err, WEIR_FOREVER), WEIR_ECLOSED);
	ck_zero(ops->close(broker, &err));
}
