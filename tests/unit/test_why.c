/* SPDX-License-Identifier: MIT */
/* What is made of measured shares and times (engine/why.h). */
#include "engine/why.h"
#include "support/test.h"

static const double none[USES];

TEST(why_makes_the_run_faster_until_the_next_resource_binds)
{
	static const struct {
		double rate, calls, sink; /* in use */
		double faster[WHY_IFS];   /* with twice the rate, with twice the concurrency */
	} rows[] = {{1, 0.2, 0.1, {2, 1}},    {0.9, 0.2, 0.1, {2, 1}}, /* what binds is in use all the time, whatever
									  was measured */
		    {1, 0.8, 0.1, {1.25, 1}}, {1, 0.2, 0.625, {1.6, 1}}, {1, 0.97, 0.1, {1, 1}},
		    {1, 7, 0.1, {1, 1}}}; /* a share is 1 at most */
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct why_spent spent = {0};
		struct why why;
		double shares[USES] = {
			[USE_RATE] = rows[i].rate, [USE_CALLS] = rows[i].calls, [USE_SINK] = rows[i].sink};
		why_add(&spent, 3, WHY_RATE_OWN, shares);
		why_explain(&spent, WHY_RATE_OWN, &why);
		ck_assert_uint_eq(why.if_count, 2);
		ck_assert(why.ifs[0].twice == USE_RATE && why.ifs[1].twice == USE_CALLS);
		for (size_t j = 0; j < WHY_IFS; j++)
			ck_assert_double_eq_tol(why.ifs[j].faster, rows[i].faster[j], 1e-9);
	}
}

TEST(why_knows_for_how_much_of_the_time)
{
	struct why_spent spent = {0};
	struct why why;
	double places[SPENT_PLACES], sum = 0;
	why_explain(&spent, WHY_SINK, &why); /* nothing was measured */
	ck_assert_double_eq(why.share, 0);
	why_add(&spent, 3, WHY_CONCURRENCY, none);
	why_add(&spent, 1, WHY_SINK, none);
	why_explain(&spent, why_most(&spent), &why);
	ck_assert_int_eq(why.cause, WHY_CONCURRENCY);
	ck_assert_double_eq_tol(why.share, 0.75, 1e-9);
	why_places(&spent, places);
	ck_assert_double_eq_tol(places[SPENT_UPSTREAM], 3, 1e-9);
	ck_assert_double_eq_tol(places[SPENT_SINK], 1, 1e-9);
	for (size_t i = 0; i < SPENT_PLACES; i++)
		sum += places[i];
	ck_assert_double_eq_tol(sum, spent.seconds, 1e-9);
}

TEST(why_of_late_is_steady_and_says_a_hold_at_the_moment)
{
	struct why_spent late = {0};
	ck_assert_int_eq(why_of_late(&late, WHY_SOURCE), WHY_SOURCE);
	for (int i = 0; i < 50; i++) {
		why_forget(&late, 0.2);
		why_add(&late, 0.2, i % 4 ? WHY_SINK : WHY_CONCURRENCY, none);
	}
	ck_assert_int_eq(why_of_late(&late, WHY_CONCURRENCY), WHY_SINK);
	ck_assert_int_eq(why_of_late(&late, WHY_BREAKER), WHY_BREAKER);
	ck_assert_int_eq(why_of_late(&late, WHY_END), WHY_END);
	for (int i = 0; i < 10; i++) { /* a hold of two seconds has ended */
		why_forget(&late, 0.2);
		why_add(&late, 0.2, WHY_PAUSED, none);
	}
	ck_assert_int_eq(why_of_late(&late, WHY_SINK), WHY_SINK);
	for (int i = 0; i < 8; i++) {
		why_forget(&late, 0.2);
		why_add(&late, 0.2, WHY_SOURCE, none);
	}
	ck_assert_int_eq(why_of_late(&late, WHY_SOURCE), WHY_SOURCE);
}

TEST(why_is_a_rate_that_is_used_up_where_calls_wait_for_one_another_too)
{
	for (int percent = 80; percent <= 100; percent += 20) {
		struct why_spent late = {0};
		const double shares[USES] = {[USE_RATE] = percent / 100.0, [USE_CALLS] = 0.5};
		why_add(&late, 6, WHY_UPSTREAM, shares);
		why_add(&late, 4, WHY_RATE_FOUND, shares);
		ck_assert_int_eq(why_of_late(&late, WHY_UPSTREAM), percent == 100 ? WHY_RATE_FOUND : WHY_UPSTREAM);
	}
}

TEST(why_holds_have_no_ifs_and_all_causes_have_a_name)
{
	const struct why_spent spent = {0};
	for (enum engine_why why = WHY_END; why < WHYS; why++) {
		struct why explained;
		why_explain(&spent, why, &explained);
		ck_assert(!why_is_hold(why) || !explained.if_count);
		ck_assert_uint_le(explained.if_count, WHY_IFS);
		ck_assert_ptr_nonnull(engine_why_name(why));
	}
}
