/* SPDX-License-Identifier: MIT */
/* Idempotency keys: the same for an item in each attempt and after a replay, and no two items have the same. */
#include "data/template.h"
#include "port/letter.h"
#include "unit/engine_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_number(const char *history, uint64_t number)
{
	uint64_t got = 0;
	ck_assert_int_eq(letter_number(history, 900, &got), 0);
	ck_assert_msg(got == number, "%s: %llu", history, (unsigned long long)got);
}

TEST(key_number_is_the_first_id_since_the_item_was_mended)
{
	expect_number("[]", 900);
	expect_number("[{\"id\":257,\"reason\":\"a\"}]", 257);
	expect_number("[{\"id\":257},{\"id\":300},{\"id\":512}]", 257);
	expect_number("[{\"id\":257},{\"id\":300,\"mended\":true}]", 900);
	expect_number("[{\"id\":257},{\"id\":300,\"mended\":true},{\"id\":512},{\"id\":600}]", 512);
	expect_number("[{\"id\":1,\"mended\":true},{\"id\":2,\"mended\":true},{\"id\":3}]", 3);
	/* An earlier release wrote no ids. */
	expect_number("[{\"reason\":\"a\"}]", 900);
	expect_number("[{\"reason\":\"a\"},{\"id\":300},{\"id\":512}]", 300);
	uint64_t untouched = 5;
	ck_assert_int_eq(letter_number("[{\"id\":", 900, &untouched), WEIR_EDATA);
	ck_assert_uint_eq(untouched, 5);
}

/* The key that a template makes of an item, or what the item dies of. */
static const char *key_of(const char *template, const char *source)
{
	struct plan plan = {0};
	struct item *item = item_new();
	ck_assert_int_eq(template_compile(template, 0, &plan.settings.key, NULL), 0);
	ck_assert_int_eq(value_copy(&item->source, source, strlen(source)), 0);
	int code = engine_make_key(&plan, item);
	ck_assert(code == (item->key ? 0 : WEIR_EDATA));
	const char *text = test_format("%s", item->key ? item->key : item_why(item));
	item_free(item);
	template_free(plan.settings.key);
	return text;
}

TEST(key_is_what_the_template_makes_of_the_item)
{
	ck_assert_str_eq(key_of("${.order_id}", "{\"order_id\":7}"), "7");
	ck_assert_str_eq(key_of("o-${.a}-${.b[0]}", "{\"a\":\"x y\",\"b\":[1.50]}"), "o-x y-1.50");
	ck_assert_str_eq(key_of("${.}", "\"\xc3\xa4\""), "\xc3\xa4");
}

TEST(key_that_cannot_be_one_is_refused_with_the_reason)
{
	const char *longest = test_format("\"%0255d\"", 1), *longer = test_format("\"%0256d\"", 1);
	ck_assert_str_eq(key_of("${.}", longest), test_format("%0255d", 1));
	ck_assert_str_eq(key_of("${.}", longer), "key: it is longer than 255 bytes");
	ck_assert_str_eq(key_of("${.id}", "{\"id\":\"\"}"), "key: it is empty");
	ck_assert_str_eq(key_of("${.id}", "{\"id\":\"a\\r\\nb\"}"), "key: it contains a control character");
	ck_assert_ptr_nonnull(strstr(key_of("${.id}", "{\"id\":null}"), "key: "));
	ck_assert_ptr_nonnull(strstr(key_of("${.id}", "{\"no\":1}"), ".id"));
}

/* ---- in a run */

static char keys[64][4][96]; /* of each item in each attempt */
static char run_of_keys[33];

static enum step_verdict note_key(struct step_call *call, int number)
{
	struct buf key = {0};
	step_put_key(call, &key);
	ck_assert_uint_lt(key.len, sizeof keys[0][0]);
	strcpy(keys[number][call->attempt], key.data);
	snprintf(run_of_keys, sizeof run_of_keys, "%s", call->run);
	buf_fini(&key);
	snprintf(call->why, sizeof call->why, "status: 500");
	return call->attempt < 3 ? STEP_RETRY : pass(call, number);
}

FIBER_TEST(key_stays_over_attempts_and_is_no_other_items)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 30, .step = note_key};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_uint_eq(stats.attempts, 90);
	for (int i = 1; i <= 30; i++) {
		ck_assert_int_eq(strncmp(keys[i][1], run_of_keys, 32), 0);
		ck_assert_str_eq(keys[i][1], keys[i][2]);
		ck_assert_str_eq(keys[i][1], keys[i][3]);
		for (int j = 1; j < i; j++)
			ck_assert_str_ne(keys[i][1], keys[j][1]);
	}
	char first[96];
	strcpy(first, keys[1][1]);
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_str_ne(first, keys[1][1]); /* that is another run */
}

/* Three of each, then the second step. */
static enum step_verdict multiply(struct step_call *call, int number)
{
	struct buf key = {0};
	if (number < 100) {
		for (int i = 1; i <= 3; i++)
			put_out(call, test_format("%d", 100 * i + number));
		return STEP_OK;
	}
	step_put_key(call, &key);
	strcpy(keys[number % 100][number / 100], key.data);
	buf_fini(&key);
	return pass(call, number);
}

FIBER_TEST(key_of_each_value_of_an_item_is_another_one)
{
	struct plan_adapter steps[2];
	struct plan plan = plan_of(&steps[0]);
	struct engine_stats stats;
	steps[1] = steps[0];
	plan.steps = steps;
	plan.step_count = 2;
	ck_assert_int_eq(template_compile("n${.}", 0, &plan.settings.key, NULL), 0);
	world = (struct world){.items = 20, .step = multiply};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	for (int i = 1; i <= 20; i++) {
		ck_assert_str_eq(keys[i][1], test_format("n%d", i));
		ck_assert_str_eq(keys[i][2], test_format("n%d.2", i));
		ck_assert_str_eq(keys[i][3], test_format("n%d.3", i));
	}
	template_free(plan.settings.key);
}

FIBER_TEST(key_that_an_item_has_not_makes_it_a_dead_letter)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	ck_assert_int_eq(template_compile("${.id}", 0, &plan.settings.key, NULL), 0);
	world = (struct world){.items = 20, .step = pass};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	ck_assert_uint_eq(stats.dead, 20);
	ck_assert_int_eq(world.calls, 0);
	ck_assert_ptr_nonnull(strstr(world.last_letter, "\"reason\":\"key: "));
	template_free(plan.settings.key);
}
