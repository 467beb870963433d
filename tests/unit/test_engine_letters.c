/* SPDX-License-Identifier: MIT */
/* Each dead letter says where it died and of what; what does not die pays nothing for it. */
#include "data/secret.h"
#include "sqlite/store/store.h"
#include "unit/engine_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wanted;

static void expect_in_letter(const char *text)
{
	ck_assert_msg(strstr(world.last_letter, text) != NULL, "no %s in %s", text, world.last_letter);
}

static enum step_verdict fail_and_explain(struct step_call *call, int number)
{
	enum step_verdict verdict = fail_always(call, number);
	if (!step_wants_evidence(call, verdict))
		return verdict;
	wanted++;
	buf_addf(call->evidence, "\"status\":500,\"seen\":%d", number);
	return verdict;
}

FIBER_TEST(engine_asks_for_evidence_at_the_last_attempt_only)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	wanted = 0;
	world = (struct world){.items = 20, .step = fail_and_explain};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	ck_assert_uint_eq(stats.attempts, 60);
	ck_assert_int_eq(wanted, 20);
	expect_in_letter("\"evidence\":{\"step\":1,\"kind\":\"fake\",\"status\":500,\"seen\":");
	expect_in_letter("\"group\":\"");
}

FIBER_TEST(engine_letter_that_a_time_limit_cuts_short_has_the_evidence_of_its_last_attempt)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.retry_attempts = 1000;
	plan.settings.retry_elapsed = 3 * WEIR_SEC;
	world = (struct world){.items = 20, .step = fail_and_explain};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	expect_in_letter("flow.retry.elapsed");
	expect_in_letter("\"evidence\":{\"step\":1,\"kind\":\"fake\",\"status\":500,\"seen\":");
}

static enum step_verdict fail_far_from_the_limit(struct step_call *call, int number)
{
	ck_assert(!step_wants_evidence(call, STEP_RETRY));
	ck_assert(step_wants_evidence(call, STEP_DEAD));
	return call->attempt < 3 ? fail_always(call, number) : pass(call, number);
}

FIBER_TEST(engine_asks_for_no_evidence_while_there_is_time)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.retry_attempts = 10;
	plan.settings.retry_elapsed = plan.settings.timeout_total = 3600 * WEIR_SEC;
	world = (struct world){.items = 20, .step = fail_far_from_the_limit};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
}

static enum step_verdict fail_once_explained(struct step_call *call, int number)
{
	return number == 1 && call->attempt == 1 ? fail_and_explain(call, number) : pass(call, number);
}

FIBER_TEST(engine_evidence_goes_when_a_later_attempt_passes)
{
	struct plan_adapter step;
	struct plan plan = durable_plan_of(&step);
	const char *folder = world.state;
	struct engine_stats stats;
	plan.settings.retry_elapsed = WEIR_SEC; /* so that each attempt may be the last */
	plan.settings.retry_backoff[0] = plan.settings.retry_backoff[1] = 10 * WEIR_MSEC;
	wanted = 0;
	world = (struct world){.items = 5, .step = fail_once_explained, .state = folder};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_int_eq(wanted, 1);
}

FIBER_TEST(engine_letter_of_a_bad_line_names_the_source)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 10, .bad_every = 7, .step = pass};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	expect_in_letter("\"evidence\":{\"step\":\"source\",\"kind\":\"numbers\"}");
}

static int every_tenth(int number)
{
	return number % 10 == 0;
}

FIBER_TEST(engine_letter_of_a_refused_row_has_the_row)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 10, .step = pass, .refuse = every_tenth};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	expect_in_letter("\"evidence\":{\"step\":\"sink\",\"kind\":\"rows\",\"row\":\"10\"}");
}

FIBER_TEST(engine_letters_in_the_state_have_their_evidence)
{
	struct plan_adapter step;
	struct plan plan = durable_plan_of(&step);
	const char *folder = world.state;
	struct engine_stats stats;
	struct store *store;
	struct buf out = {0};
	uint64_t last;
	world = (struct world){.items = 3, .step = fail_and_explain, .state = folder};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	ck_assert_uint_eq(stats.letters, 3);
	ck_assert_int_eq(store_open(folder, 0, &store, NULL), 0);
	ck_assert_int_eq(store_letters(store, &(struct letter_query){0}, &out, &last, NULL), 0);
	for (int i = 1; i <= 3; i++)
		ck_assert_ptr_nonnull(strstr(
			out.data,
			test_format("\"evidence\":{\"step\":1,\"kind\":\"fake\",\"status\":500,\"seen\":%d}", i)));
	buf_fini(&out);
	store_close(store);
}

/* ---- secrets */

static enum step_verdict fail_with_a_secret(struct step_call *call, int number)
{
	(void)number;
	snprintf(call->why, sizeof call->why, "not json: Bearer c4n4ry-7731");
	return weir_sleep(WEIR_MSEC) ? STEP_CANCELED : STEP_RETRY;
}

static char last_failure[128];

static void look(struct engine *engine)
{
	struct engine_flow flow;
	engine_flow(engine, &flow);
	snprintf(last_failure, sizeof last_failure, "%s", flow.last_failure);
	engine_stop(engine, "seen");
}

FIBER_TEST(engine_hides_secrets_in_what_it_says_of_a_failure)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	ck_assert_int_eq(secret_add("c4n4ry-7731", 11), 0);
	plan.settings.retry_attempts = 1000;
	world = (struct world){.items = 3, .step = fail_with_a_secret, .meanwhile = look};
	run_plan(&plan, 500 * WEIR_MSEC, &stats);
	ck_assert_str_eq(last_failure, "not json: Bearer ***");
	plan.settings.retry_attempts = 1;
	world = (struct world){.items = 3, .step = fail_with_a_secret};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	expect_in_letter("\"reason\":\"not json: Bearer ***\"");
	secret_clear();
}

static void take_note(void *arg, const char *text)
{
	snprintf(arg, sizeof last_failure, "%s", text);
}

TEST(engine_notes_hide_secrets)
{
	const struct engine_life life = {.opts = {.note = take_note, .arg = last_failure}};
	ck_assert_int_eq(secret_add("c4n4ry-7731", 11), 0);
	engine_note(&life, "the upstream said: %s", "c4n4ry-7731");
	ck_assert_str_eq(last_failure, "the upstream said: ***");
	secret_clear();
}
