/* SPDX-License-Identifier: MIT */
/* Is it the job, or the upstream?  What a gate remembers of a job that fails, is denied or throttled. */
#include "support/test.h"

#include "policy/history.h"

static struct weir__witness witness;

/* A call begins: its number. */
static uint64_t call(void)
{
	return ++witness.calls;
}

static void succeeds(uint64_t number)
{
	witness.good = number > witness.good ? number : witness.good;
}

static void refuse(struct weir_history *history, weir_nsec now)
{
	weir__history_refused(history, &witness, 0, now);
}

TEST(history_suspects_a_job_once_others_that_began_later_have_succeeded)
{
	witness = (struct weir__witness){0};
	struct weir_history history = {0};
	uint64_t before = call();
	call();
	ck_assert(!weir__history_is_again(&history, WEIR_OUTCOME_FAILED));
	weir__history_ended(&history, WEIR_OUTCOME_FAILED, &witness);
	succeeds(before); /* which was under way: it proves nothing */
	ck_assert(weir__history_is_again(&history, WEIR_OUTCOME_ERROR));
	ck_assert(!weir__history_is_suspect(&history, WEIR_OUTCOME_FAILED, &witness));
	succeeds(call());
	ck_assert(weir__history_is_suspect(&history, WEIR_OUTCOME_TIMED_OUT, &witness));
	ck_assert(!weir__history_is_again(&history, WEIR_OUTCOME_DENIED));
	ck_assert(!history.suspect);
	weir__history_ended(&history, WEIR_OUTCOME_ERROR, &witness);
	ck_assert(history.suspect);
	call();
	ck_assert(weir__history_is_suspect(&history, WEIR_OUTCOME_FAILED, &witness)); /* it stays one */
}

TEST(history_counts_the_time_of_a_job_that_is_throttled_while_others_are_served)
{
	witness = (struct weir__witness){0};
	struct weir_history history = {0};
	for (int i = 0; i < 20; i++) {
		call();
		refuse(&history, i * WEIR_SEC);
		ck_assert_int_eq(history.throttled, i * WEIR_SEC);
		ck_assert(weir__history_is_throttled_alone(&history) == (i >= 10));
		succeeds(call());
	}
	ck_assert(history.served);
}

TEST(history_counts_nothing_while_all_are_throttled)
{
	witness = (struct weir__witness){0};
	struct weir_history jobs[3] = {{0}};
	for (int second = 0; second < 3600; second++) {
		call();
		refuse(&jobs[second % 3], second * WEIR_SEC);
	}
	for (int i = 0; i < 3; i++)
		ck_assert(!jobs[i].throttled && !jobs[i].served);
}

/* One of them is always the first to be asked again, and keeps the others out. */
TEST(history_counts_nothing_while_others_stand_before_the_gate)
{
	witness = (struct weir__witness){0};
	struct weir_history first = {0}, second = {0};
	for (int minute = 0; minute < 60; minute++) {
		weir__history_knock(&second, &witness);
		weir__history_knock(&first, &witness);
		call();
		refuse(&first, minute * 60 * WEIR_SEC);
	}
	ck_assert_int_eq(first.throttled, 0);
}

TEST(history_counts_the_time_of_the_last_ones_that_are_known_to_be_bad)
{
	witness = (struct weir__witness){0};
	struct weir_history jobs[3] = {{0}};
	for (int i = 0; i < 6; i++) {
		call();
		refuse(&jobs[i % 3], i * WEIR_SEC);
		succeeds(call());
	}
	weir_nsec before[3] = {jobs[0].throttled, jobs[1].throttled, jobs[2].throttled};
	for (int i = 6; i < 60; i++) { /* now nobody else is left */
		weir__history_knock(&jobs[i % 3], &witness);
		call();
		refuse(&jobs[i % 3], i * WEIR_SEC);
	}
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(jobs[i].throttled - before[i], 54 * WEIR_SEC);
}

TEST(history_counts_the_time_of_the_only_one_beyond_what_the_server_asked_for)
{
	witness = (struct weir__witness){0};
	struct weir_history history = {0};
	call();
	weir__history_refused(&history, &witness, 900 * WEIR_SEC, 0);
	for (int i = 1; i <= 3; i++) { /* asked again each five minutes, as it is the longest that is waited */
		weir__history_knock(&history, &witness);
		call();
		weir__history_refused(&history, &witness, (900 - i * 300) * WEIR_SEC, i * 300 * WEIR_SEC);
		ck_assert_int_eq(history.throttled, i < 3 ? 0 : 300 * WEIR_SEC);
	}
	for (int i = 1; i <= 10; i++) { /* its word is worth nothing */
		call();
		weir__history_refused(&history, &witness, WEIR_SEC, (900 + i) * WEIR_SEC);
		ck_assert_int_eq(history.throttled, (300 + i) * WEIR_SEC);
	}
}
