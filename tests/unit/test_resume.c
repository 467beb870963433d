/* SPDX-License-Identifier: MIT */
/* What is done about an earlier run: each line of the table in engine/resume.h. */
#include "engine/resume.h"
#include "support/test.h"

#include <string.h>
#include <sysexits.h>

#define PLAN  "steps.1 = jq\nsteps.1.program = .a\nsteps.1.timeout ! 2s\n"
#define OTHER "steps.1 = jq\nsteps.1.program = .b\n"

enum { RESUME, BEGIN };

static struct weir_error last;
static int last_exit;

static bool has_rows; /* of failures */

/* The decision about an earlier run of a plan, or -1 when it is refused. */
static int decide_with(struct broker_past past, const char *plan, const char *meaning, enum engine_wish wish)
{
	bool begin;
	past.plan = (struct value){(char *)(uintptr_t)plan, strlen(plan)};
	last = (struct weir_error){0};
	last_exit = 0;
	int code = resume_decide(&past, meaning, wish, has_rows, &begin, &last_exit, &last);
	ck_assert_int_eq(code, last.code);
	return code ? -1 : begin ? BEGIN : RESUME;
}

/* Of one that an earlier release began. */
static int decide(struct broker_past past, const char *meaning, enum engine_wish wish)
{
	return decide_with(past, "steps:\n  - jq:\n      program: .a\n      timeout: 1s\n", meaning, wish);
}

static const struct broker_past nothing, unfinished = {.begun = true, .unfinished = 3, .accounts = {.read = 9}},
					 done = {.begun = true, .sealed = true, .done = true, .accounts = {.read = 9}};

TEST(resume_begins_when_nothing_is_known_whatever_is_wished)
{
	for (enum engine_wish wish = WISH_RESUME; wish <= WISH_DISCARD; wish++)
		ck_assert_int_eq(decide(nothing, PLAN, wish), BEGIN);
}

TEST(resume_continues_with_the_same_plan)
{
	ck_assert_int_eq(decide(unfinished, PLAN, WISH_RESUME), RESUME);
	ck_assert_int_eq(decide(unfinished, PLAN, WISH_ADOPT), RESUME);
}

TEST(resume_refuses_another_plan_and_says_what_has_changed)
{
	ck_assert_int_eq(decide(unfinished, OTHER, WISH_RESUME), -1);
	ck_assert_int_eq(last_exit, EX_CONFIG);
	ck_assert_ptr_nonnull(strstr(last.text, "program: .a\""));
	ck_assert_ptr_nonnull(strstr(last.text, "program: .b\""));
	ck_assert_ptr_nonnull(strstr(last.text, "--adopt"));
	ck_assert_int_eq(decide(unfinished, OTHER, WISH_ADOPT), RESUME);
}

TEST(resume_does_not_believe_a_damaged_plan)
{
	const char *damaged = "weir processing 1 00000000\n" PLAN;
	ck_assert_int_eq(decide_with(unfinished, damaged, PLAN, WISH_RESUME), -1);
	ck_assert_int_eq(last.code, WEIR_EDATA);
	ck_assert_int_eq(last_exit, EX_IOERR);
	ck_assert_int_eq(decide_with(unfinished, damaged, PLAN, WISH_ADOPT), RESUME);
}

TEST(resume_looks_for_new_items_when_all_is_done)
{
	struct broker_past with_letters = done;
	with_letters.letters = 2;
	ck_assert_int_eq(decide(done, PLAN, WISH_RESUME), RESUME);
	ck_assert_int_eq(decide(done, PLAN, WISH_ADOPT), RESUME);
	ck_assert_int_eq(decide(with_letters, PLAN, WISH_RESUME), RESUME);
}

TEST(resume_does_not_take_a_changed_plan_for_one_that_is_done)
{
	ck_assert_int_eq(decide(done, OTHER, WISH_RESUME), -1);
	ck_assert_int_eq(last_exit, EX_CONFIG);
	ck_assert_ptr_nonnull(strstr(last.text, "--fresh"));
	ck_assert_int_eq(decide(done, OTHER, WISH_ADOPT), RESUME);
	ck_assert_int_eq(decide(done, OTHER, WISH_FRESH), BEGIN);
}

TEST(resume_fresh_loses_nothing_unless_told_twice)
{
	struct broker_past empty = {.begun = true}, letters = done;
	letters.letters = 1;
	ck_assert_int_eq(decide(done, PLAN, WISH_FRESH), BEGIN);
	ck_assert_int_eq(decide(empty, PLAN, WISH_FRESH), BEGIN);
	ck_assert_int_eq(decide(unfinished, PLAN, WISH_FRESH), -1);
	ck_assert_int_eq(last_exit, EX_USAGE);
	ck_assert_ptr_nonnull(strstr(last.text, "3 unfinished items and 0 dead letters"));
	ck_assert_int_eq(decide(letters, PLAN, WISH_FRESH), -1);
	ck_assert_int_eq(decide(unfinished, PLAN, WISH_DISCARD), BEGIN);
	ck_assert_int_eq(decide(letters, PLAN, WISH_DISCARD), BEGIN);
}

/* All that was read is settled, but its source was not read to the end. */
TEST(resume_fresh_asks_when_only_the_source_is_unread)
{
	struct broker_past half = {.begun = true, .accounts = {.read = 5, .succeeded = 5}};
	ck_assert_int_eq(decide(half, PLAN, WISH_FRESH), -1);
	ck_assert_ptr_nonnull(strstr(last.text, "not read to the end"));
}

TEST(resume_begins_again_when_all_have_failed_and_are_rows)
{
	struct broker_past past = done;
	past.accounts.dead = 9;
	ck_assert_int_eq(decide(past, PLAN, WISH_RESUME), RESUME);
	has_rows = true;
	ck_assert_int_eq(decide(past, PLAN, WISH_RESUME), BEGIN);
	ck_assert_int_eq(decide(past, OTHER, WISH_RESUME), BEGIN);
	ck_assert_int_eq(decide(past, PLAN, WISH_ADOPT), RESUME);
	past.accounts.succeeded = 1;
	ck_assert_int_eq(decide(past, PLAN, WISH_RESUME), RESUME);
	past = unfinished;
	past.accounts.dead = 6;
	ck_assert_int_eq(decide(past, PLAN, WISH_RESUME), RESUME);
}
