/* SPDX-License-Identifier: MIT */
/* The durable broker, against a naive model in random orders; and what a crash leaves. */
#include "unit/brokers.h"

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
	quick_assert(durable(model->broker)->held_items <= tight.window_items);
	quick_assert(durable(model->broker)->held_bytes <= tight.window_bytes);
}

static void model_put(struct model *model)
{
	uint64_t n = 1 + below(model, below(model, 50) ? 20 : 300);
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
	int n = ops->queue.lease(model->broker, at, max, &err, weir_now() + (weir_nsec)below(model, 10) * WEIR_MSEC);
	if (n < 0) {
		quick_assert(n == WEIR_ETIMEDOUT);
		return;
	}
	for (int i = 0; i < n; i++) {
		const struct item *item = at[i];
		quick_assert(item->position >= 1 && item->position <= model->read);
		quick_assert(model->items[item->position].where == READY);
		quick_assert(model->items[item->position].attempts == item->attempts);
		quick_assert(strcmp(model->items[item->position].why, item_why(item)) == 0);
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
		ck_zero(ops->queue.ack(model->broker, items, n, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
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
	strcpy(model->items[item->position].why, item_why(item));
	ops->queue.nack(model->broker, item, due - weir_now(), &err, WEIR_FOREVER);
}

static void model_bury(struct model *model)
{
	if (!model->leased_count)
		return;
	struct item *item = take_leased(model);
	item_set_why(item, "dead %llu", (unsigned long long)item->position);
	model->items[item->position].where = DEAD;
	ops->queue.bury(model->broker, item, &err, WEIR_FOREVER);
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
	ck_zero(ops->journal.letters(model->broker, &(struct letters_request){LETTERS_REPLAY, {.reason = "7"}}, NULL,
				     &n, &err, WEIR_FOREVER));
	ck_assert_uint_eq(n, move_letters(model, READY));
}

static void model_purge(struct model *model)
{
	uint64_t n;
	ck_zero(ops->journal.letters(model->broker, &(struct letters_request){LETTERS_PURGE, {.reason = "7"}}, NULL, &n,
				     &err, WEIR_FOREVER));
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
		ops->queue.stop(model->broker);
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
	ck_zero(ops->queue.seal(model->broker, &err, WEIR_FOREVER));
	int code;
	while ((code = ops->queue.lease(model->broker, model->leased, 1, &err, weir_now() + 60 * WEIR_SEC)) == 1) {
		struct item *item = model->leased[0];
		quick_assert(model->items[item->position].where == READY);
		quick_assert(model->items[item->position].due <= weir_now());
		model->items[item->position].where = SETTLED;
		item->fate = FATE_SUCCEEDED;
		ck_zero(ops->queue.ack(model->broker, &item, 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
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
	ck_zero(ops->journal.recall(model->broker, &past, &err, WEIR_FOREVER));
	ck_assert(past.done && past.sealed && past.unfinished == 0);
	ck_assert_uint_eq(past.accounts.read, model->read);
	ck_assert_uint_eq(past.accounts.succeeded + past.accounts.dropped, count_where(model, SETTLED));
	ck_assert_uint_eq(past.accounts.dead, dead);
	ck_assert_uint_eq((uint64_t)atoll(past.cursor.text), model->read);
	broker_past_fini(&past);
	ck_zero(ops->close(model->broker, &err));
	free(model);
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
		uint64_t to = from + weir_random_below(&crash.random, weir_random_below(&crash.random, 20) ? 20 : 400);
		to = to < CRASH_ITEMS ? to : CRASH_ITEMS;
		ck_zero(put_range(crash.broker, from, to, 30, WEIR_FOREVER));
		while (from <= to)
			crash.was_put[from++] = true;
		weir_sleep((weir_nsec)weir_random_below(&crash.random, 10) * WEIR_MSEC);
	}
	ck_zero(ops->queue.seal(crash.broker, &err, WEIR_FOREVER));
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
		ops->queue.nack(crash.broker, item, WEIR_MSEC, &err, WEIR_FOREVER);
		break;
	case 3:
		crash.leaving[position] = true;
		ops->queue.bury(crash.broker, item, &err, WEIR_FOREVER);
		break;
	default:
		crash.leaving[position] = true;
		ck_zero(ops->queue.ack(crash.broker, &item, 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
		crash.settled[position] = true;
	}
}

static int work_all(void *arg)
{
	(void)arg;
	struct item *item;
	int code;
	while ((code = ops->queue.lease(crash.broker, &item, 1, &err, WEIR_FOREVER)) == 1) {
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
		ck_assert_int_eq(ops->queue.lease(broker, &item, 1, &err, WEIR_FOREVER), 1);
		quick_assert(!inside[item->position]);
		inside[item->position] = true;
		ops->queue.nack(broker, item, 3600 * WEIR_SEC, &err, WEIR_FOREVER);
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
	ck_zero(broker_on_thread(durable(crash.broker), copy_folder, &copy));
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

FIBER_TEST(broker_sqlite_has_stored_a_record_when_extend_returns)
{
	struct copy copy = {new_folder(), new_folder()};
	struct broker *broker = open_broker(copy.from, &roomy);
	struct item *item;
	ck_zero(put_range(broker, 1, 1, 30, WEIR_FOREVER));
	ck_assert_int_eq(ops->queue.lease(broker, &item, 1, &err, WEIR_FOREVER), 1);
	ck_zero(value_copy(&item->record, "job 7", 5));
	ck_zero(ops->queue.extend(broker, item, &err, WEIR_FOREVER));
	ck_zero(broker_on_thread(durable(broker), copy_folder, &copy));
	ck_zero(ops->queue.ack(broker, &item, 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	ck_zero(ops->close(broker, &err));
	broker = open_broker(copy.to, &roomy);
	ck_assert_int_eq(ops->queue.lease(broker, &item, 1, &err, WEIR_FOREVER), 1);
	ck_assert_str_eq(item->record.data, "job 7");
	ck_zero(ops->queue.ack(broker, &item, 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	ck_zero(ops->close(broker, &err));
}

/* The number of free pages in the file's head is wrong, which only a check of all pages finds. */
static void damage(const char *folder)
{
	struct store *store;
	ck_zero(store_open(folder, 0, &store, &err)); /* copies the log into the file */
	store_close(store);
	FILE *file = fopen(test_format("%s/" STORE_FILE, folder), "r+e");
	ck_assert(file && fseek(file, 36, SEEK_SET) == 0 && fwrite("\0\0\0\7", 1, 4, file) == 4);
	fclose(file);
}

FIBER_TEST(broker_sqlite_settles_nothing_in_a_damaged_state_that_no_run_has_closed)
{
	struct copy copy = {new_folder(), new_folder()};
	struct broker *broker = open_broker(copy.from, &roomy);
	struct item *item;
	ck_zero(put_range(broker, 1, 20, 30, WEIR_FOREVER));
	ck_zero(broker_on_thread(durable(broker), copy_folder, &copy));
	ck_zero(ops->close(broker, &err));
	damage(copy.to);
	broker = open_broker(copy.to, &roomy);
	ck_assert_int_eq(ops->queue.lease(broker, &item, 1, &err, WEIR_FOREVER), 1);
	ck_assert_int_eq(ops->queue.ack(broker, &item, 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER), WEIR_EDATA);
	ck_assert_ptr_nonnull(strstr(err.text, "its pages are damaged"));
	item_free(item);
	ck_assert_int_eq(ops->close(broker, &err), WEIR_EDATA);
}
