/* SPDX-License-Identifier: MIT */
/* How auto chooses: each rule by its number, and what holds of every choice. */
#include "policy/choose.h"
#include "support/test.h"

#include <math.h>
#include <string.h>
#include <weir/process.h>
#include <weir/random.h>

/* A hundred calls of a well-behaved upstream. */
static const struct weir_profile usual = {
	.seen = 100,
	.p50 = 50 * WEIR_MSEC,
	.p95 = 400 * WEIR_MSEC,
	.failed = 0.03,
	.concurrency = 80,
	.job_bytes = 64 << 10,
};

static struct weir_choice choose(struct weir_profile profile)
{
	struct weir_choice choice;
	memset(&choice, 0xff, sizeof choice);
	weir__choose(&profile, &choice);
	return choice;
}

static void assert_choice(struct weir_choice choice, unsigned rule, enum weir_pattern pattern, size_t concurrency,
			  const char *why)
{
	ck_assert_uint_eq(choice.rule, rule);
	ck_assert_str_eq(choice.why, why);
	ck_assert_int_eq(choice.pattern, pattern);
	ck_assert_uint_eq(choice.concurrency, concurrency);
	ck_assert(choice.per_sec == 0 || pattern == WEIR_PATTERN_RATE);
}

TEST(choose_1_paces_to_a_limit_that_was_hinted)
{
	struct weir_profile profile = usual;
	profile.hinted_per_sec = 1000;
	profile.throttled = 0.2;
	profile.passed_per_sec = 1100;
	struct weir_choice choice = choose(profile);
	/* 1000 a second of 0.4 s are 400 at once; half as many again and one */
	assert_choice(choice, 1, WEIR_PATTERN_RATE, 601, "at most 1000 calls a second, as the server states");
	ck_assert_double_eq(choice.per_sec, 1000);
	profile.hinted_per_sec = 0.0833333;
	profile.p50 = profile.p95 = 0;
	assert_choice(choose(profile), 1, WEIR_PATTERN_RATE, 80, "at most 0.0833 calls a second, as the server states");
}

TEST(choose_2_paces_to_what_passed_when_others_were_turned_away)
{
	struct weir_profile profile = usual;
	profile.throttled = 0.12;
	profile.passed_per_sec = 950;
	profile.failed = 0.5; /* the rate is the first thing to get right */
	struct weir_choice choice = choose(profile);
	assert_choice(choice, 2, WEIR_PATTERN_RATE, 571,
		      "at most about 950 calls a second: above that the server answers 429 (12 % of calls)");
	ck_assert_double_eq(choice.per_sec, 950);
}

TEST(choose_3_begins_with_one_call_when_none_passed)
{
	struct weir_profile profile = usual;
	profile.throttled = 1;
	assert_choice(choose(profile), 3, WEIR_PATTERN_QUEUE, 1,
		      "100 % of calls got a 429: starting with one call in flight");
}

TEST(choose_4_makes_batches_of_jobs_that_are_alike_when_memory_is_short)
{
	struct weir_profile profile = usual;
	profile.memory_bytes = 1 << 20;
	profile.p95 = 55 * WEIR_MSEC;
	assert_choice(choose(profile), 4, WEIR_PATTERN_CHUNKED, 16,
		      "1 MiB of memory holds 16 jobs, and p95 is only 1.1 times p50: batches of 16");
}

TEST(choose_5_queues_as_many_as_memory_holds)
{
	struct weir_profile profile = usual;
	profile.memory_bytes = 1 << 20;
	profile.p95 = 60 * WEIR_MSEC; /* 1.2 times: a batch would wait for its slowest */
	assert_choice(choose(profile), 5, WEIR_PATTERN_QUEUE, 16,
		      "1 MiB of memory holds 16 jobs: at most 16 in flight");
	profile.p50 = profile.p95 = 0; /* not known to be alike */
	ck_assert_uint_eq(choose(profile).rule, 5);
	profile.memory_bytes = 100;
	ck_assert_uint_eq(choose(profile).concurrency, 1);
	profile.memory_bytes = (size_t)80 * (64 << 10); /* all of them */
	ck_assert_uint_eq(choose(profile).rule, 9);
	profile.p95 = profile.p50 = 50 * WEIR_MSEC;
	ck_assert_uint_eq(choose(profile).rule, 9);
	profile.p50 = 0;
	profile.memory_bytes--;
	ck_assert_uint_eq(choose(profile).concurrency, 79);
}

TEST(choose_6_does_few_jobs_concurrently)
{
	struct weir_profile profile = usual;
	profile.jobs = 100;
	assert_choice(choose(profile), 6, WEIR_PATTERN_NAIVE, 0, "only 100 jobs, and 3 % of calls failed: no limit");
	profile.failed = 0.06;
	ck_assert_uint_eq(choose(profile).rule, 9);
	profile.failed = 0.05;
	ck_assert_uint_eq(choose(profile).rule, 6);
	profile.jobs = 101;
	ck_assert_uint_eq(choose(profile).rule, 9);
	profile.jobs = 10;
	profile.memory_bytes = 9 * profile.job_bytes;
	assert_choice(choose(profile), 5, WEIR_PATTERN_QUEUE, 9, "576 KiB of memory holds 9 jobs: at most 9 in flight");
}

TEST(choose_7_concludes_nothing_from_a_few_calls)
{
	struct weir_profile profile = usual;
	profile.seen = 19;
	profile.failed = 0.4;
	profile.concurrency = 0;
	assert_choice(choose(profile), 7, WEIR_PATTERN_QUEUE, 50, "only 19 calls seen: starting with 50 in flight");
	profile.seen = 20;
	ck_assert_uint_eq(choose(profile).rule, 8);
}

TEST(choose_8_goes_back_to_half_when_many_failed)
{
	struct weir_profile profile = usual;
	profile.failed = 0.2;
	assert_choice(choose(profile), 8, WEIR_PATTERN_QUEUE, 40,
		      "20 % of 100 calls failed: at most 40 in flight, half as many as before");
	profile.concurrency = 1;
	ck_assert_uint_eq(choose(profile).concurrency, 1);
	profile.failed = 0.19;
	ck_assert_uint_eq(choose(profile).rule, 9);
}

TEST(choose_9_is_a_queue_of_what_was_found)
{
	struct weir_profile profile = usual;
	assert_choice(choose(profile), 9, WEIR_PATTERN_QUEUE, 80,
		      "p95 is 8 times p50, 3 % of 100 calls failed: at most 80 in flight");
	profile.p50 = 0;
	assert_choice(choose(profile), 9, WEIR_PATTERN_QUEUE, 80, "3 % of 100 calls failed: at most 80 in flight");
}

/* ---- whatever the profile holds */

static double any_number(uint64_t *random)
{
	static const double odd[] = {0, -1, NAN, INFINITY, -INFINITY, 1e300, 1e-300, 1, 0.2, 950};
	uint64_t kind = weir_random_below(random, 20);
	return kind < 10 ? odd[kind] : kind < 15 ? weir_random_unit(random) : weir_random_unit(random) * 1e4;
}

static uint64_t any_integer(uint64_t *random, uint64_t most)
{
	uint64_t kind = weir_random_below(random, 4);
	uint64_t value = weir_random(random) >> weir_random_below(random, 64);
	return kind == 0 ? 0 : value < most ? value : most;
}

static struct weir_profile any_profile(uint64_t *random)
{
	struct weir_profile profile = {
		.jobs = any_integer(random, UINT64_MAX),
		.seen = any_integer(random, UINT64_MAX),
		.p50 = (weir_nsec)any_integer(random, INT64_MAX),
		.p95 = (weir_nsec)any_integer(random, INT64_MAX),
		.failed = any_number(random),
		.throttled = any_number(random),
		.hinted_per_sec = any_number(random),
		.passed_per_sec = any_number(random),
		.concurrency = any_integer(random, SIZE_MAX),
		.memory_bytes = any_integer(random, SIZE_MAX),
		.job_bytes = any_integer(random, SIZE_MAX),
	};
	if (weir_random_below(random, 2))
		profile.hinted_per_sec = profile.throttled = 0;
	return profile;
}

static void check_choice(const struct weir_profile *profile, const struct weir_choice *choice)
{
	size_t concurrency = choice->concurrency ? choice->concurrency : profile->jobs;
	size_t fits =
		profile->memory_bytes && profile->job_bytes ? profile->memory_bytes / profile->job_bytes : SIZE_MAX;
	quick_assert(choice->pattern > WEIR_PATTERN_AUTO && choice->pattern <= WEIR_PATTERN_NAIVE);
	quick_assert(choice->rule >= 1 && choice->rule <= 9);
	quick_assert(concurrency >= 1 && concurrency <= 10000 && (concurrency <= fits || concurrency == 1));
	quick_assert((choice->pattern == WEIR_PATTERN_NAIVE) == !choice->concurrency);
	quick_assert(isfinite(choice->per_sec) && choice->per_sec <= 1e9);
	quick_assert(choice->pattern == WEIR_PATTERN_RATE ? choice->per_sec > 0 : choice->per_sec == 0);
	quick_assert(memchr(choice->why, 0, sizeof choice->why) != NULL);
	size_t length = strlen(choice->why);
	quick_assert(length > 10 && length < sizeof choice->why - 1 && !strchr(choice->why, '\n'));
	quick_assert(choice->why[length - 1] != '.' && !strstr(choice->why, "nan") && !strstr(choice->why, "inf"));
}

TEST(choose_always_chooses_what_can_be_done)
{
	unsigned times[10] = {0};
	for (uint64_t seed = 0; seed < 200000; seed++) {
		uint64_t random = seed;
		struct weir_profile profile = any_profile(&random);
		struct weir_choice choice = choose(profile), again = choose(profile);
		check_choice(&profile, &choice);
		quick_assert(!strcmp(choice.why, again.why) && choice.rule == again.rule &&
			     choice.concurrency == again.concurrency && choice.pattern == again.pattern);
		times[choice.rule]++;
	}
	for (int rule = 1; rule <= 9; rule++)
		ck_assert_uint_gt(times[rule], 0);
}
