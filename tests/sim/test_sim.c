/* SPDX-License-Identifier: MIT */
/* The promises of docs/flow.md, on simulated upstreams; weir-sim --check tries more seeds, and the other limits. */
#include "sim/sim.h"
#include "support/test.h"

#include <string.h>

static struct sim_result result, again;

static const struct sim_model *model_named(const char *name)
{
	for (size_t i = 0; i < sim_model_count; i++)
		if (!strcmp(sim_models[i].name, name))
			return &sim_models[i];
	ck_abort_msg("there is no model %s", name);
}

TEST(sim_is_the_same_with_the_same_seed)
{
	struct sim_options opts = {.model = model_named("neighbour"), .seed = 3};
	ck_assert_int_eq(sim_run(&opts, &result), 0);
	ck_assert_int_eq(sim_run(&opts, &again), 0);
	ck_assert_mem_eq(&result, &again, sizeof result);
	opts.seed = 4;
	ck_assert_int_eq(sim_run(&opts, &again), 0);
	ck_assert_mem_ne(&result, &again, sizeof result);
}

TEST(sim_possible_is_what_the_right_number_reaches)
{
	/* 50 at once is right for this one, so the bound must be met and not passed. */
	struct sim_options opts = {.model = model_named("cap-503"), .controller = SIM_FIXED_50, .seed = 1};
	ck_assert_int_eq(sim_run(&opts, &result), 0);
	ck_assert(sim_share(&result.all) > 0.99 && sim_share(&result.all) < 1.005);
	ck_assert(sim_rejected(&result.all) < 0.001);
}

TEST(auto_reaches_what_is_possible_and_is_rarely_rejected)
{
	unsigned kept = 0;
	for (size_t i = 0; i < sim_model_count; i++)
		ck_assert_int_eq(sim_check(&sim_models[i], 1, false, &kept), 0);
	ck_assert_uint_ge(kept, 50);
}

/* The first two round trips, and the first second, with what an earlier run has learnt. */
static void check_second_run(const char *name)
{
	struct sim_options opts = {.model = model_named(name), .seed = 7};
	ck_assert_int_eq(sim_run(&opts, &result), 0);
	struct weir_snapshot snapshot = result.snapshot;
	opts.snapshot = &snapshot;
	opts.seed = 8;
	ck_assert_int_eq(sim_run(&opts, &again), 0);
	size_t from = (size_t)(2 * sim_round_trip(opts.model) / again.tick + 1);
	struct sim_tally sum = {0};
	for (size_t i = from; i < from + 20; i++) {
		sum.good += again.ticks[i].good;
		sum.possible += again.ticks[i].possible;
	}
	ck_assert_msg(sim_share(&sum) >= 0.95, "%s: %.3f of the possible", name, sim_share(&sum));
	uint64_t rejected = 0;
	for (size_t i = 0; i < from + 20; i++)
		rejected += again.ticks[i].rejected;
	ck_assert_msg(rejected <= 10, "%s: %llu rejected", name, (unsigned long long)rejected);
}

TEST(auto_goes_on_with_a_snapshot)
{
	check_second_run("link");
	check_second_run("link-wide");
	check_second_run("pool-1000");
	check_second_run("rate-1000");
	check_second_run("rate-1000-100ms");
	check_second_run("rate-100-ra");
	check_second_run("cap-503");
	check_second_run("demand");
}
