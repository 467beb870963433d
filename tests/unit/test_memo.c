/* SPDX-License-Identifier: MIT */
/* What an item has got so far, as bytes: the same again, for the steps that made it, and for nobody else. */
#include "engine/memo.h"
#include "spec/meaning.h"
#include "spec/plan.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

static const uint64_t steps[] = {0, 11, 22, 33}, others[] = {0, 11, 99, 33};

static void add(struct value_list *list, const char *bytes, size_t n, const char *meta)
{
	struct value value;
	ck_assert_int_eq(value_copy(&value, bytes, n), 0);
	value.meta = meta ? strdup(meta) : NULL;
	ck_assert_int_eq(value_list_take(list, &value), 0);
}

/* Before the second step; or in it, at the second of its values. */
static struct value record_of(bool begun)
{
	struct memo memo = {.step = 1, .value = begun};
	struct value record;
	add(&memo.values, "{\"a\":\"0\n1\"}", 11, NULL);
	add(&memo.values, "\0\1\2", 3, "\"status\":200,\"x\":\"- \n\"");
	add(&memo.values, "", 0, "");
	if (begun) {
		add(&memo.made, "7", 1, NULL);
		memo.note = strdup("job 7");
	}
	ck_assert_int_eq(memo_write(&memo, steps, &record), 0);
	memo_fini(&memo);
	return record;
}

static int read_with(const struct value *record, const uint64_t *by, size_t step_count)
{
	struct memo memo;
	int code = memo_read(record, by, step_count, &memo);
	if (!code)
		memo_fini(&memo);
	return code;
}

TEST(memo_has_what_was_written)
{
	struct value record = record_of(true);
	struct memo memo;
	ck_assert_int_eq(memo_read(&record, steps, 3, &memo), 0);
	ck_assert_uint_eq(memo.step, 1);
	ck_assert_uint_eq(memo.value, 1);
	ck_assert_uint_eq(memo.values.n, 3);
	ck_assert_uint_eq(memo.made.n, 1);
	ck_assert_str_eq(memo.values.values[0].data, "{\"a\":\"0\n1\"}");
	ck_assert_ptr_null(memo.values.values[0].meta);
	ck_assert_uint_eq(memo.values.values[1].len, 3);
	ck_assert(memcmp(memo.values.values[1].data, "\0\1\2", 4) == 0);
	ck_assert_str_eq(memo.values.values[1].meta, "\"status\":200,\"x\":\"- \n\"");
	ck_assert_str_eq(memo.values.values[2].meta, "");
	ck_assert_str_eq(memo.made.values[0].data, "7");
	ck_assert_str_eq(memo.note, "job 7");
	memo_fini(&memo);
	value_fini(&record);
}

TEST(memo_may_be_a_note_of_the_first_step)
{
	struct memo memo = {.note = strdup("job 7")};
	struct value record;
	ck_assert_int_eq(memo_write(&memo, steps, &record), 0);
	memo_fini(&memo);
	ck_assert_int_eq(read_with(&record, &steps[1], 3), WEIR_EDATA);
	ck_assert_int_eq(memo_read(&record, steps, 1, &memo), 0);
	ck_assert_uint_eq(memo.values.n, 0);
	ck_assert_str_eq(memo.note, "job 7");
	memo_fini(&memo);
	value_fini(&record);
}

TEST(memo_is_for_the_steps_that_made_it)
{
	struct value before = record_of(false), in = record_of(true);
	ck_assert_int_eq(read_with(&before, others, 3), 0); /* the second step has done nothing yet */
	ck_assert_int_eq(read_with(&in, others, 3), WEIR_EDATA);
	ck_assert_int_eq(read_with(&before, &steps[1], 2), WEIR_EDATA);
	ck_assert_int_eq(read_with(&before, steps, 1), WEIR_EDATA); /* there is no second step any more */
	value_fini(&before);
	value_fini(&in);
}

TEST(memo_that_is_damaged_is_none)
{
	struct value record = record_of(true), none = {0};
	for (size_t i = 0; i < record.len; i++) {
		char was = record.data[i];
		for (int bit = 0; bit < 8; bit++) {
			record.data[i] = (char)(was ^ 1 << bit);
			ck_assert_int_eq(read_with(&record, steps, 3), WEIR_EDATA);
		}
		record.data[i] = was;
	}
	for (size_t n = record.len; n-- > 0;) {
		struct value cut;
		ck_assert_int_eq(value_copy(&cut, record.data, n), 0);
		ck_assert_int_eq(read_with(&cut, steps, 3), WEIR_EDATA);
		value_fini(&cut);
	}
	ck_assert_int_eq(read_with(&none, steps, 3), WEIR_EDATA);
	ck_assert_int_eq(read_with(&record, steps, 3), 0);
	value_fini(&record);
}

TEST(memo_has_a_longest)
{
	struct memo memo = {.step = 1};
	struct value record = {0};
	char *bytes = calloc(1, MEMO_BYTES);
	memset(bytes, 'x', MEMO_BYTES);
	add(&memo.values, bytes, MEMO_BYTES / 2, NULL);
	ck_assert_int_eq(memo_write(&memo, steps, &record), 0);
	ck_assert_uint_le(record.len, MEMO_BYTES);
	value_fini(&record);
	add(&memo.values, bytes, MEMO_BYTES / 2, NULL);
	ck_assert_int_eq(memo_write(&memo, steps, &record), WEIR_ENOSPC);
	ck_assert_ptr_null(record.data);
	memo_fini(&memo);
	free(bytes);
}

/* ---- what the steps are */

static void numbers_of(const char *written, uint64_t ret_numbers[3])
{
	const char *yaml = test_format("source: {range: 1-3}\nsteps: [%s]\nsink: {stdout: {}}\n", written);
	struct plan *plan = NULL;
	struct weir_error err = {0};
	int code = spec_parse(yaml, strlen(yaml), "t.yaml", test_folder(), &(struct spec_options){0}, &plan, &err);
	ck_assert_msg(code == 0, "%s\n%s", yaml, err.text);
	spec_meaning_steps(plan->meaning, ret_numbers, 2);
	plan_free(plan);
}

TEST(memo_outlives_what_makes_no_difference)
{
	uint64_t was[3], is[3];
	numbers_of("{http: {url: 'http://h/1', method: POST}}, {jq: .a}", was);
	ck_assert(was[0] != was[1] && was[1] != was[2]);
	numbers_of("{http: {method: POST, timeout: 9s, memo: false, url: 'http://h/1'}, concurrency: 3}, {jq: .a}", is);
	ck_assert(memcmp(was, is, sizeof was) == 0);
	numbers_of("{http: {url: 'http://h/1', method: POST}}, {jq: .b}", is);
	ck_assert(was[0] == is[0] && was[1] == is[1] && was[2] != is[2]);
	numbers_of("{http: {url: 'http://h/1', method: PUT}}, {jq: .a}", is);
	ck_assert(was[0] == is[0] && was[1] != is[1] && was[2] != is[2]);
	numbers_of("{jq: .a}, {http: {url: 'http://h/1', method: POST}}", is);
	ck_assert(was[1] != is[1] && was[2] != is[2]);
}
