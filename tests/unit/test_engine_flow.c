/* SPDX-License-Identifier: MIT */
/* The parts of the engine that are about how fast it goes: memory, classes and ordering keys, what `weir set` says. */
#include "cmd/changes.h"
#include "engine/internal.h"
#include "support/test.h"

#include <string.h>

/* ---- memory */

#define MIB ((uint64_t)1 << 20)

/* Looks until the room stays, with items of a size that all are under way. */
static size_t settle_room(struct engine_memory *memory, uint64_t each, uint64_t *ret_peak)
{
	for (int i = 0; i < 200; i++) {
		uint64_t used = memory->base + memory->room * each;
		if (used > *ret_peak)
			*ret_peak = used;
		memory->ended = memory->room;
		engine_memory_look(memory, memory->room, used);
	}
	return memory->room;
}

TEST(memory_room_is_what_items_of_that_size_leave)
{
	static const uint64_t sizes[] = {10 << 10, 100 << 10, 1 << 20, 5 << 20};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct engine_memory memory = {.most = 256 * MIB, .base = 16 * MIB, .room = 8};
		uint64_t peak = 0;
		size_t room = settle_room(&memory, sizes[i], &peak), fits = (size_t)(240 * MIB / sizes[i]);
		ck_assert_uint_ge(room, fits / 2);
		ck_assert_uint_le(room, fits);
		ck_assert_uint_le(peak, memory.most);
	}
}

TEST(memory_room_does_not_grow_before_items_have_ended)
{
	struct engine_memory memory = {.most = 256 * MIB, .base = 16 * MIB, .room = 8};
	for (int i = 0; i < 50; i++)
		engine_memory_look(&memory, memory.room, memory.base + MIB); /* no answer has come */
	ck_assert_uint_eq(memory.room, 8);
	for (size_t size = 8; size < 64; size *= 2) {
		memory.ended = size / 2 - 1;
		engine_memory_look(&memory, memory.room, memory.base + MIB);
		ck_assert_uint_eq(memory.room, size);
		memory.ended++;
		engine_memory_look(&memory, memory.room, memory.base + MIB);
		ck_assert_uint_eq(memory.room, 2 * size);
	}
}

TEST(memory_room_shrinks_when_items_become_large_and_grows_again)
{
	struct engine_memory memory = {.most = 256 * MIB, .base = 16 * MIB, .room = 8};
	uint64_t peak = 0;
	size_t small = settle_room(&memory, 100 << 10, &peak), large = settle_room(&memory, 4 << 20, &peak);
	ck_assert_uint_lt(large, 61);
	ck_assert_uint_ge(large, 30);
	ck_assert_uint_ge(settle_room(&memory, 100 << 10, &peak), small / 2);
}

TEST(memory_room_grows_again_while_idle_connections_hold_what_they_held)
{
	const uint64_t each = 26 << 10, idle = 44 * MIB;
	struct engine_memory memory = {.most = 56 * MIB, .base = 18 * MIB, .room = 1, .full = true};
	for (int i = 0; i < 200; i++) {
		uint64_t needed = memory.base + memory.room * each;
		memory.ended = memory.room;
		engine_memory_look(&memory, memory.room, needed > idle ? needed : idle);
	}
	ck_assert_uint_ge(memory.room, 1000);
	ck_assert_uint_le(memory.room, 38 * MIB / each);
}

TEST(memory_room_is_never_nothing_and_stays_while_it_is_not_needed)
{
	struct engine_memory memory = {.most = 32 * MIB, .base = 30 * MIB, .room = 8};
	for (int i = 0; i < 50; i++)
		engine_memory_look(&memory, memory.room, 40 * MIB);
	ck_assert_uint_eq(memory.room, 1);
	for (int i = 0; i < 50; i++)
		engine_memory_look(&memory, 0, 10 * MIB);
	ck_assert_uint_le(memory.room, 2); /* nothing is under way: nothing is learnt */
	engine_memory_begin(&memory, 0);
	ck_assert_uint_eq(memory.room, SIZE_MAX);
}

TEST(memory_of_this_process_is_known)
{
	uint64_t bytes = engine_memory_bytes();
	ck_assert_uint_gt(bytes, MIB);
	ck_assert_uint_lt(bytes, 4096 * MIB);
}

/* ---- fields */

static struct plan fields_plan(const char *path)
{
	return (struct plan){
		.settings = {.priority_field = (char *)(uintptr_t)path, .order_by = (char *)(uintptr_t)path}};
}

static struct item text_item(const char *text)
{
	return (struct item){.source = {.data = (char *)(uintptr_t)text, .len = strlen(text)}};
}

TEST(class_of_an_item_is_its_number_or_the_last)
{
	static const struct {
		const char *text;
		int64_t class;
	} rows[] = {{"{\"u\":{\"n\":3}}", 3},
		    {"{\"u\":{\"n\":0}}", 0},
		    {"{\"u\":{\"n\":-5}}", 0},
		    {"{\"u\":{\"n\":2.7}}", 2},
		    {"{\"u\":{\"n\":1e30}}", 1000000},
		    {"{\"u\":{\"n\":\"3\"}}", 1000000},
		    {"{\"u\":{\"n\":null}}", 1000000},
		    {"{\"u\":{}}", 1000000},
		    {"7", 1000000},
		    {"not json", 1000000}};
	struct plan plan = fields_plan(".u.n");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct item item = text_item(rows[i].text);
		ck_assert_msg(engine_class_of(&plan, &item) == rows[i].class, "%s", rows[i].text);
	}
	struct item bad = text_item("{\"u\":{\"n\":3}}");
	bad.bad = true;
	ck_assert_int_eq(engine_class_of(&plan, &bad), 1000000);
}

static void begin_item(struct engine_classes *classes, int64_t class, weir_nsec born)
{
	const struct item item = {.class = class, .born = born};
	engine_class_begins(classes, &item, 5 * WEIR_SEC - born);
}

TEST(class_counts_items_that_wait_too_long_or_are_overtaken)
{
	struct key_time times[] = {{0, WEIR_SEC}, {5, 3 * WEIR_SEC}};
	struct engine_classes classes = {0};
	ck_assert_int_eq(engine_classes_open(&classes, &(struct key_times){times, 2}), 0);
	begin_item(&classes, 5, 1 * WEIR_SEC); /* late */
	begin_item(&classes, 0, 3 * WEIR_SEC); /* late, and it overtakes the next two */
	begin_item(&classes, 5, 2 * WEIR_SEC);
	begin_item(&classes, 7, 2 * WEIR_SEC); /* of a class that nobody asks about, which overtakes nobody */
	begin_item(&classes, 5, 4 * WEIR_SEC);
	ck_assert(classes.all[0].late == 1 && classes.all[0].overtaken == 0);
	ck_assert(classes.all[1].late == 1 && classes.all[1].overtaken == 1);
	ck_assert_uint_eq(weir_histogram_count(classes.all[1].waits), 3);
	engine_classes_free(&classes);
}

TEST(ordering_key_of_an_item_is_that_of_its_equals)
{
	struct plan plan = fields_plan(".c");
	struct item a = text_item("{\"c\":\"x\",\"n\":1}"), b = text_item("{\"n\":2,\"c\":\"x\"}");
	struct item c = text_item("{\"c\":\"y\"}"), none = text_item("{\"n\":1}"), null = text_item("{\"c\":null}");
	struct item deep = text_item("{\"c\":{\"a\":[1,2]}}"), deep_too = text_item("{\"c\": {\"a\": [1, 2]}}");
	ck_assert_uint_eq(engine_ordering_key(&plan, 1, &a), engine_ordering_key(&plan, 1, &b));
	ck_assert_uint_ne(engine_ordering_key(&plan, 1, &a), engine_ordering_key(&plan, 1, &c));
	ck_assert_uint_ne(engine_ordering_key(&plan, 1, &a), 0);
	ck_assert_uint_eq(engine_ordering_key(&plan, 1, &none), 0);
	ck_assert_uint_eq(engine_ordering_key(&plan, 1, &null), 0);
	ck_assert_uint_eq(engine_ordering_key(&plan, 1, &deep), engine_ordering_key(&plan, 1, &deep_too));
	struct item *all[] = {&a, &b, &c, &none, &null, &deep, &deep_too};
	for (size_t i = 0; i < 7; i++)
		value_forget(&all[i]->source);
}

/* ---- weir set */

TEST(changes_are_read)
{
	struct engine_changes changes;
	ck_assert_int_eq(changes_parse(" concurrency=200  rate=500/s paused=true ", &changes, NULL), 0);
	ck_assert(changes.has_concurrency && changes.has_rate && changes.has_pause);
	ck_assert_uint_eq(changes.concurrency, 200);
	ck_assert_uint_eq(changes.rate.count, 500);
	ck_assert(changes.paused);
	ck_assert_int_eq(changes_parse("concurrency=auto", &changes, NULL), 0);
	ck_assert(changes.has_concurrency && !changes.has_rate && !changes.has_pause);
	ck_assert_uint_eq(changes.concurrency, 0);
	ck_assert_int_eq(changes_parse("rate=none paused=false", &changes, NULL), 0);
	ck_assert_uint_eq(changes.rate.count, 0);
	ck_assert(changes.has_pause && !changes.paused);
}

TEST(changes_that_make_no_sense_say_what_would)
{
	static const struct {
		const char *words, *part;
	} rows[] = {{"concurrency=0", "from 1 to"},
		    {"concurrency=", "expected auto"},
		    {"concurrency=1000000", "from 1 to"},
		    {"concurrency=-1", "expected auto"},
		    {"rate=5", "such as 1000/s"},
		    {"rate=", "expected none"},
		    {"paused=maybe", "true or false"},
		    {"paused", "cannot be set"},
		    {"speed=1", "cannot be set"},
		    {"=1", "cannot be set"},
		    {"rate=5/s speed=1", "\"speed=1\" cannot be set"}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct engine_changes changes = {.paused = true};
		struct weir_error err = {0};
		ck_assert_int_eq(changes_parse(rows[i].words, &changes, &err), WEIR_EINVAL);
		ck_assert_msg(strstr(err.text, rows[i].part), "%s: %s", rows[i].words, err.text);
		ck_assert(changes.paused && !changes.has_rate); /* untouched */
	}
}
