/* SPDX-License-Identifier: MIT */
/* What is done about an earlier run: each line of the table in engine/resume.h. */
#include "engine/resume.h"
#include "support/test.h"

#include <string.h>
#include <sysexits.h>

#define PLAN "source:\n  range: 1-9\nsteps:\n  - jq: .a\n"

static struct weir_error last;
static int last_exit;

/* The decision, or -1 when it is refused. */
static int decide(struct broker_past past, const char *meaning, enum engine_wish wish)
{
	enum resume resume;
	past.plan = (struct value){(char *)PLAN, strlen(PLAN)};
	last = (struct weir_error){0};
	last_exit = 0;
	int code = resume_decide(&past, meaning, wish, &resume, &last_exit, &last);
	ck_assert_int_eq(code, last.code);
	return code ? -1 : (int)resume;
}

static const struct broker_past nothing, unfinished = {.begun = true, .unfinished = 3, .accounts = {.read = 9}},
					 done = {.begun = true, .sealed = true, .done = true, .accounts = {.read = 9}};

TEST(resume_begins_when_nothing_is_known_whatever_is_wished)
{
	for (enum engine_wish wish = WISH_RESUME; wish <= WISH_DISCARD; wish++)
		ck_assert_int_eq(decide(nothing, PLAN, wish), RESUME_BEGIN);
}

TEST(resume_goes_on_with_the_same_plan)
{
	ck_assert_int_eq(decide(unfinished, PLAN, WISH_RESUME), RESUME_GO_ON);
	ck_assert_int_eq(decide(unfinished, PLAN, WISH_ADOPT), RESUME_GO_ON);
}

TEST(resume_refuses_another_plan_and_names_the_line)
{
	const char *other = "source:\n  range: 1-9\nsteps:\n  - jq: .b\n";
	ck_assert_int_eq(decide(unfinished, other, WISH_RESUME), -1);
	ck_assert_int_eq(last_exit, EX_CONFIG);
	ck_assert_ptr_nonnull(strstr(last.text, "\"- jq: .a\""));
	ck_assert_ptr_nonnull(strstr(last.text, "\"- jq: .b\""));
	ck_assert_ptr_nonnull(strstr(last.text, "--adopt"));
	ck_assert_int_eq(decide(unfinished, other, WISH_ADOPT), RESUME_GO_ON);
}

TEST(resume_names_a_line_that_came_or_went)
{
	ck_assert_int_eq(decide(unfinished, PLAN "  - jq: .c\n", WISH_RESUME), -1);
	ck_assert_ptr_nonnull(strstr(last.text, "it said \"\", now it says \"- jq: .c\""));
	ck_assert_int_eq(decide(unfinished, "source:\n  range: 1-9\n", WISH_RESUME), -1);
	ck_assert_ptr_nonnull(strstr(last.text, "it said \"steps:\", now it says \"\""));
}

TEST(resume_has_nothing_to_do_when_all_is_done)
{
	struct broker_past with_letters = done;
	with_letters.letters = 2;
	ck_assert_int_eq(decide(done, PLAN, WISH_RESUME), RESUME_NOTHING);
	ck_assert_int_eq(decide(done, PLAN, WISH_ADOPT), RESUME_NOTHING);
	ck_assert_int_eq(decide(with_letters, PLAN, WISH_RESUME), RESUME_NOTHING);
}

TEST(resume_does_not_take_a_changed_plan_for_one_that_is_done)
{
	ck_assert_int_eq(decide(done, "steps: []\n", WISH_RESUME), -1);
	ck_assert_int_eq(last_exit, EX_CONFIG);
	ck_assert_ptr_nonnull(strstr(last.text, "--fresh"));
	ck_assert_int_eq(decide(done, "steps: []\n", WISH_ADOPT), -1);
	ck_assert_int_eq(decide(done, "steps: []\n", WISH_FRESH), RESUME_BEGIN);
}

TEST(resume_fresh_loses_nothing_unless_told_twice)
{
	struct broker_past empty = {.begun = true}, letters = done;
	letters.letters = 1;
	ck_assert_int_eq(decide(done, PLAN, WISH_FRESH), RESUME_BEGIN);
	ck_assert_int_eq(decide(empty, PLAN, WISH_FRESH), RESUME_BEGIN);
	ck_assert_int_eq(decide(unfinished, PLAN, WISH_FRESH), -1);
	ck_assert_int_eq(last_exit, EX_USAGE);
	ck_assert_ptr_nonnull(strstr(last.text, "3 unfinished items and 0 dead letters"));
	ck_assert_int_eq(decide(letters, PLAN, WISH_FRESH), -1);
	ck_assert_int_eq(decide(unfinished, PLAN, WISH_DISCARD), RESUME_BEGIN);
	ck_assert_int_eq(decide(letters, PLAN, WISH_DISCARD), RESUME_BEGIN);
}

/* All that was read is settled, but its source was not read to the end. */
TEST(resume_fresh_asks_when_only_the_source_is_unread)
{
	struct broker_past half = {.begun = true, .accounts = {.read = 5, .succeeded = 5}};
	ck_assert_int_eq(decide(half, PLAN, WISH_FRESH), -1);
	ck_assert_ptr_nonnull(strstr(last.text, "not read to the end"));
}
