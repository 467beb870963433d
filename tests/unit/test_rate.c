/* SPDX-License-Identifier: MIT */
/*
 * The laws of rates, against naive models: for even pacing the windows themselves, all of them, between any two that
 * passed; for the log a list of times; for changes a bucket in floating point.
 */
#include "unit/death.h"

#include <weir/random.h>
#include <weir/rate.h>

#define YEAR (365 * 24 * 3600 * WEIR_SEC)

__extension__ typedef __int128 wide;

static struct weir_rate new_rate(struct weir_rate_options opts)
{
	struct weir_rate rate;
	quick_assert(weir_rate_init(&rate, &opts) == 0);
	return rate;
}

/* Up to most, each order of magnitude as likely as the next. */
static uint64_t any_size(uint64_t *random, uint64_t most)
{
	uint64_t bits = 1 + weir_random_below(random, 64 - (unsigned)__builtin_clzll(most));
	uint64_t value = 1 + weir_random_below(random, bits >= 63 ? most : (uint64_t)1 << bits);
	return value < most ? value : most;
}

static struct weir_rate_options any_options(uint64_t *random, enum weir_rate_kind kind)
{
	struct weir_rate_options opts = {.kind = kind};
	opts.count = any_size(random, kind == WEIR_RATE_LOG ? 200 : 1000000000);
	opts.period = (weir_nsec)any_size(random, (uint64_t)YEAR);
	opts.burst = any_size(random, weir_random_below(random, 4) ? 20 : 1000000);
	return opts;
}

/* ---- the law as the header has it: every window, from each that passed to the last */

enum { GRANTS = 400 };

struct grant {
	weir_nsec at;
	uint64_t n;
};

struct model {
	struct weir_rate_options opts;
	struct grant grants[GRANTS];
	int used;
};

static void model_add(struct model *model, weir_nsec at, uint64_t n)
{
	model->grants[model->used++] = (struct grant){at, n};
}

/* sum <= burst + (w + 1 ns) * rate, in ticks and to the tick: of the nanosecond less than the whole. */
static weir_nsec model_next(const struct model *model, uint64_t n, weir_nsec now)
{
	const struct weir_rate_options *opts = &model->opts;
	wide sum = n, latest = (wide)now * opts->count;
	if (n > opts->burst)
		return WEIR_FOREVER;
	for (int i = model->used - 1; i >= 0; i--) {
		sum += model->grants[i].n;
		wide window = (sum - opts->burst) * opts->period - (opts->count - 1);
		wide may = (wide)model->grants[i].at * opts->count + window;
		latest = may > latest ? may : latest;
	}
	latest = (latest + opts->count - 1) / opts->count;
	return latest < INT64_MAX ? (weir_nsec)latest : INT64_MAX;
}

/* The log's: in any window of the length of its period at most count, the newest first. */
static weir_nsec log_model_next(const struct model *model, uint64_t n, weir_nsec now)
{
	uint64_t sum = n;
	if (n > model->opts.count)
		return WEIR_FOREVER;
	for (int i = model->used - 1; i >= 0; i--) {
		sum += model->grants[i].n;
		if (sum > model->opts.count) {
			weir_nsec may = model->grants[i].at + model->opts.period;
			return may > now ? may : now;
		}
	}
	return now;
}

/* Arrivals that come in crowds, in time, a little early, or after a pause. */
static weir_nsec any_arrival(uint64_t *random, weir_nsec now, weir_nsec next, const struct weir_rate_options *opts)
{
	weir_nsec interval = opts->period / (weir_nsec)opts->count + 1;
	switch (weir_random_below(random, 6)) {
	case 0:
	case 1:
		return now;
	case 2:
		return next > now ? next : now;
	case 3:
		return next - 1 > now ? next - 1 : now;
	case 4:
		return now + (weir_nsec)weir_random_below(random, 3 * (uint64_t)interval);
	}
	return now + (weir_nsec)any_size(random, 40 * (uint64_t)interval);
}

static uint64_t any_n(uint64_t *random, uint64_t most)
{
	return weir_random_below(random, 3) ? 1 : any_size(random, most);
}

typedef weir_nsec (*model_fn)(const struct model *, uint64_t n, weir_nsec now);

static void compare_with_model(uint64_t seed, enum weir_rate_kind kind, model_fn model_next_of)
{
	uint64_t random = seed;
	struct model model = {.opts = any_options(&random, kind)};
	struct weir_rate rate = new_rate(model.opts);
	weir_nsec now = (weir_nsec)weir_random_below(&random, 1u << 30), next = now;
	while (model.used < GRANTS && now < INT64_MAX / 4) {
		uint64_t n = any_n(&random, kind == WEIR_RATE_LOG ? model.opts.count : model.opts.burst);
		now = any_arrival(&random, now, next, &model.opts);
		next = weir_rate_next(&rate, n, now);
		quick_assert(next == model_next_of(&model, n, now));
		if (next > now)
			continue;
		weir_rate_take(&rate, n, now);
		model_add(&model, now, n);
	}
	weir_rate_fini(&rate);
}

TEST(rate_gcra_lets_through_what_every_window_allows_and_not_later)
{
	for (uint64_t seed = 0; seed < 500; seed++)
		compare_with_model(seed, WEIR_RATE_GCRA, model_next);
}

TEST(rate_bucket_lets_through_what_every_window_allows_and_not_later)
{
	for (uint64_t seed = 0; seed < 500; seed++)
		compare_with_model(seed, WEIR_RATE_BUCKET, model_next);
}

TEST(rate_log_lets_through_its_count_in_any_period_and_not_later)
{
	for (uint64_t seed = 0; seed < 500; seed++)
		compare_with_model(seed, WEIR_RATE_LOG, log_model_next);
}

/* ---- with changes on the way */

struct change {
	weir_nsec at;
	int grants; /* that passed before it */
	struct weir_rate_options opts;
};

enum { CHANGES = 40 };

struct history {
	struct grant grants[GRANTS];
	int used;
	struct change changes[CHANGES + 1];
	int changed;
};

/* What the rates in force allow between two times. */
static long double allowed_between(const struct history *history, weir_nsec from, weir_nsec until)
{
	long double sum = 0;
	for (int i = 0; i < history->changed; i++) {
		weir_nsec begin = history->changes[i].at;
		weir_nsec end = i + 1 < history->changed ? history->changes[i + 1].at : INT64_MAX;
		begin = begin > from ? begin : from;
		end = end < until ? end : until;
		if (end > begin)
			sum += (long double)(end - begin) * history->changes[i].opts.count /
			       history->changes[i].opts.period;
	}
	return sum;
}

static const struct change *change_before(const struct history *history, int grant)
{
	const struct change *change = &history->changes[0];
	for (int i = 0; i < history->changed; i++)
		if (history->changes[i].grants <= grant)
			change = &history->changes[i];
	return change;
}

/* A nanosecond of the fastest is the grain of time. */
static long double grain(const struct history *history)
{
	long double most = 0;
	for (int i = 0; i < history->changed; i++) {
		long double per_nsec = (long double)history->changes[i].opts.count / history->changes[i].opts.period;
		most = per_nsec > most ? per_nsec : most;
	}
	return most;
}

static void check_all_windows(const struct history *history)
{
	long double slack = grain(history) + 1e-6L;
	for (int i = 0; i < history->used; i++) {
		uint64_t burst = change_before(history, i)->opts.burst, sum = 0;
		for (int j = i; j < history->used; j++) {
			sum += history->grants[j].n;
			quick_assert(sum <=
				     burst + slack +
					     allowed_between(history, history->grants[i].at, history->grants[j].at));
		}
	}
}

/* A bucket as one would write it first. */
struct naive {
	struct weir_rate_options opts;
	long double tokens;
	weir_nsec at;
};

static void naive_pass_time(struct naive *naive, weir_nsec now)
{
	naive->tokens += (long double)(now - naive->at) * naive->opts.count / naive->opts.period;
	if (naive->tokens > naive->opts.burst)
		naive->tokens = naive->opts.burst;
	naive->at = now;
}

static void naive_set(struct naive *naive, const struct weir_rate_options *opts, weir_nsec now)
{
	naive_pass_time(naive, now);
	if (naive->tokens > opts->burst)
		naive->tokens = opts->burst;
	naive->opts = *opts;
}

static long double naive_wait(struct naive *naive, uint64_t n, weir_nsec now)
{
	naive_pass_time(naive, now);
	return naive->tokens >= n ? 0 : (n - naive->tokens) * naive->opts.period / naive->opts.count;
}

/* Rates that differ by orders of magnitude, but of which all have something pass in a while. */
static struct weir_rate_options changing_options(uint64_t *random, enum weir_rate_kind kind)
{
	return (struct weir_rate_options){
		.kind = kind,
		.count = any_size(random, 2000),
		.period = 1000 + (weir_nsec)weir_random_below(random, 100 * (uint64_t)WEIR_SEC),
		.burst = any_size(random, 30),
	};
}

static void do_change(struct history *history, struct weir_rate *both, struct naive *naive, uint64_t *random,
		      weir_nsec now)
{
	struct weir_rate_options opts = changing_options(random, WEIR_RATE_GCRA);
	if (weir_random_below(random, 3) == 0)
		opts = history->changes[history->changed - 1].opts; /* no change at all */
	history->changes[history->changed++] = (struct change){now, history->used, opts};
	naive_set(naive, &opts, now);
	quick_assert(weir_rate_set(&both[0], &opts, now) == 0);
	opts.kind = WEIR_RATE_BUCKET;
	quick_assert(weir_rate_set(&both[1], &opts, now) == 0);
}

static void change_at_random(uint64_t seed)
{
	static struct history history;
	uint64_t random = seed;
	struct weir_rate_options opts = changing_options(&random, WEIR_RATE_GCRA);
	struct naive naive = {.opts = opts, .tokens = opts.burst};
	struct weir_rate both[2] = {new_rate(opts)};
	weir_nsec now = 1, next = 1;
	history.used = 0;
	history.changed = 1;
	history.changes[0] = (struct change){0, 0, opts};
	opts.kind = WEIR_RATE_BUCKET;
	both[1] = new_rate(opts);
	while (history.used < 300) {
		const struct weir_rate_options *current = &history.changes[history.changed - 1].opts;
		uint64_t n = any_n(&random, current->burst);
		now = any_arrival(&random, now, next, current);
		if (history.changed <= CHANGES && weir_random_below(&random, 10) == 0) {
			do_change(&history, both, &naive, &random, now);
			continue;
		}
		next = weir_rate_next(&both[0], n, now);
		quick_assert(next == weir_rate_next(&both[1], n, now));
		/* A rest of a nanosecond that one of them has and the other has not is worth more after a change. */
		long double off = (long double)(next - now) - naive_wait(&naive, n, now);
		long double rest = 2 + 2 * grain(&history) * current->period / current->count;
		quick_assert(off > -rest && off < rest);
		if (next > now)
			continue;
		weir_rate_take(&both[0], n, now);
		weir_rate_take(&both[1], n, now);
		naive.tokens -= n;
		history.grants[history.used++] = (struct grant){now, n};
	}
	check_all_windows(&history);
}

TEST(rate_changes_keep_every_window_within_the_burst_it_begins_with_and_its_rates)
{
	for (uint64_t seed = 0; seed < 60; seed++)
		change_at_random(seed);
}

/* How many items in the last period, the one at `last` included. */
static uint64_t sum_of_period(const struct history *history, int last, weir_nsec period)
{
	uint64_t sum = 0;
	for (int i = last; i >= 0 && history->grants[i].at > history->grants[last].at - period; i--)
		sum += history->grants[i].n;
	return sum;
}

TEST(rate_log_of_changing_counts_keeps_each_count_in_any_period)
{
	static struct history history;
	for (uint64_t seed = 0; seed < 60; seed++) {
		uint64_t random = seed, count = 5;
		struct weir_rate_options opts = {.kind = WEIR_RATE_LOG, .count = count};
		struct weir_rate rate = new_rate(opts);
		weir_nsec now = 1;
		for (history.used = 0; history.used < GRANTS;) {
			uint64_t n = any_n(&random, opts.count);
			weir_nsec next = weir_rate_next(&rate, n, now);
			if (weir_random_below(&random, 8) == 0) {
				opts.count = any_size(&random, 40);
				quick_assert(weir_rate_set(&rate, &opts, now) == 0);
			} else if (next == now) {
				weir_rate_take(&rate, n, now);
				history.grants[history.used++] = (struct grant){now, n};
				quick_assert(sum_of_period(&history, history.used - 1, WEIR_SEC) <= opts.count);
			} else {
				quick_assert(next > now && next <= now + WEIR_SEC);
				now = weir_random_below(&random, 2) ? next : now + (next - now) / 2;
			}
		}
		weir_rate_fini(&rate);
	}
}

/* ---- by hand */

/* The time of the last of so many that come as early as they may. */
static weir_nsec take_greedily(struct weir_rate *rate, uint64_t n, int times)
{
	weir_nsec now = 1;
	for (int i = 0; i < times; i++) {
		now = weir_rate_next(rate, n, now);
		weir_rate_take(rate, n, now);
	}
	return now - 1;
}

TEST(rate_a_million_at_three_a_second_do_not_drift)
{
	for (int kind = WEIR_RATE_GCRA; kind <= WEIR_RATE_BUCKET; kind++) {
		struct weir_rate rate = new_rate((struct weir_rate_options){.count = 3, .kind = kind});
		ck_assert_int_eq(take_greedily(&rate, 1, 1000001), (weir_nsec)1000000 * WEIR_SEC / 3);
	}
}

TEST(rate_does_not_lose_the_rest_of_a_nanosecond)
{
	struct weir_rate rate = new_rate((struct weir_rate_options){.count = 666666666});
	weir_nsec took = take_greedily(&rate, 1, 1000001);
	ck_assert_int_ge(took, 1500000);
	ck_assert_int_le(took, 1500003);
	rate = new_rate((struct weir_rate_options){.count = 1000000000});
	ck_assert_int_eq(take_greedily(&rate, 1, 1000001), 1000000);
}

TEST(rate_reaches_its_rate_whatever_n_is)
{
	for (int kind = WEIR_RATE_GCRA; kind <= WEIR_RATE_LOG; kind++)
		for (uint64_t n = 1; n <= 10; n++) {
			if (kind == WEIR_RATE_LOG && 30 % n)
				continue; /* a window of 30 has no room for 4 x 7 and 2 more */
			struct weir_rate rate = new_rate((struct weir_rate_options){
				.count = 30, .period = 7 * WEIR_SEC, .burst = 10, .kind = kind});
			double took = (double)take_greedily(&rate, n, 100000) / (double)WEIR_SEC;
			ck_assert_double_ge(100000.0 * (double)n / took, 30 / 7.0 * 0.999);
			weir_rate_fini(&rate);
		}
}

TEST(rate_is_one_in_a_year_if_asked_for)
{
	struct weir_rate rate = new_rate((struct weir_rate_options){.count = 1, .period = YEAR, .burst = 1000000});
	weir_rate_take(&rate, 1000000, 5);
	ck_assert_int_eq(weir_rate_next(&rate, 1, 5), 5 + YEAR);
	ck_assert_int_eq(weir_rate_next(&rate, 1, YEAR + 4), YEAR + 5);
	ck_assert_int_eq(weir_rate_next(&rate, 1, YEAR + 5), YEAR + 5);
	ck_assert_int_eq(weir_rate_next(&rate, 1000000, 5), INT64_MAX); /* a million years */
	rate = new_rate(
		(struct weir_rate_options){.count = 1, .period = YEAR, .burst = 1000000, .kind = WEIR_RATE_BUCKET});
	weir_rate_take(&rate, 1000000, 5);
	ck_assert_int_eq(weir_rate_next(&rate, 1, 5), 5 + YEAR);
	ck_assert_int_eq(weir_rate_next(&rate, 1000000, 5), INT64_MAX);
	rate = new_rate((struct weir_rate_options){.count = 1, .period = YEAR, .kind = WEIR_RATE_LOG});
	weir_rate_take(&rate, 1, INT64_MAX - 5);
	ck_assert_int_eq(weir_rate_next(&rate, 1, INT64_MAX - 5), INT64_MAX);
	weir_rate_fini(&rate);
}

TEST(rate_answers_now_and_no_time_that_could_mean_for_ever)
{
	for (int kind = WEIR_RATE_GCRA; kind <= WEIR_RATE_LOG; kind++) {
		struct weir_rate rate = new_rate((struct weir_rate_options){.count = 10, .burst = 10, .kind = kind});
		for (weir_nsec now = -3; now < 3; now++)
			ck_assert_int_eq(weir_rate_next(&rate, 10, now), now);
		ck_assert_int_eq(weir_rate_next(&rate, 11, 0), WEIR_FOREVER);
		ck_assert_int_eq(weir_rate_next(&rate, 0, 7), 7);
		weir_rate_fini(&rate);
	}
}

TEST(rate_of_an_hour_that_is_made_fast_does_not_wait_for_the_hour)
{
	for (int kind = WEIR_RATE_GCRA; kind <= WEIR_RATE_BUCKET; kind++) {
		struct weir_rate_options slow = {.count = 1, .period = 3600 * WEIR_SEC, .kind = kind};
		struct weir_rate_options fast = {.count = 1000, .kind = kind};
		struct weir_rate rate = new_rate(slow);
		weir_rate_take(&rate, 1, 5);
		ck_assert_int_eq(weir_rate_set(&rate, &fast, 5), 0);
		ck_assert_int_eq(weir_rate_next(&rate, 1, 5), 5 + WEIR_MSEC);
		weir_rate_take(&rate, 1, 5 + WEIR_MSEC);
		ck_assert_int_eq(weir_rate_set(&rate, &slow, 5 + WEIR_MSEC + WEIR_MSEC / 2), 0);
		ck_assert_int_eq(weir_rate_next(&rate, 1, 6 + WEIR_MSEC), 5 + WEIR_MSEC * 3 / 2 + 1800 * WEIR_SEC);
	}
}

TEST(rate_with_a_smaller_burst_waits_for_one_not_for_all_that_passed)
{
	for (int kind = WEIR_RATE_GCRA; kind <= WEIR_RATE_BUCKET; kind++) {
		struct weir_rate_options opts = {.count = 1, .burst = 1000, .kind = kind};
		struct weir_rate rate = new_rate(opts);
		weir_rate_take(&rate, 1000, 0);
		opts.burst = 1;
		ck_assert_int_eq(weir_rate_set(&rate, &opts, 0), 0);
		ck_assert_int_eq(weir_rate_next(&rate, 1, 0), WEIR_SEC);
		opts.burst = 1000; /* and there and back is no way to a thousand more */
		ck_assert_int_eq(weir_rate_set(&rate, &opts, 0), 0);
		ck_assert_int_eq(weir_rate_next(&rate, 1, 0), WEIR_SEC);
		ck_assert_int_eq(weir_rate_next(&rate, 1000, 0), 1000 * WEIR_SEC);
	}
}

TEST(rate_log_counts_a_time_until_it_is_a_period_old)
{
	struct weir_rate rate = new_rate((struct weir_rate_options){.count = 3, .kind = WEIR_RATE_LOG});
	weir_rate_take(&rate, 2, 100);
	weir_rate_take(&rate, 1, 200);
	ck_assert_int_eq(weir_rate_next(&rate, 1, 300), 100 + WEIR_SEC);
	ck_assert_int_eq(weir_rate_next(&rate, 2, 300), 100 + WEIR_SEC);
	ck_assert_int_eq(weir_rate_next(&rate, 3, 300), 200 + WEIR_SEC);
	ck_assert_int_eq(weir_rate_next(&rate, 1, 100 + WEIR_SEC), 100 + WEIR_SEC);
	ck_assert_int_eq(weir_rate_next(&rate, 4, 300), WEIR_FOREVER);
	weir_rate_fini(&rate);
}

TEST(rate_log_remembers_as_many_as_its_largest_count)
{
	struct weir_rate_options opts = {.count = 10, .kind = WEIR_RATE_LOG};
	struct weir_rate rate = new_rate(opts);
	weir_rate_take(&rate, 1, 0);
	opts.count = 2;
	ck_assert_int_eq(weir_rate_set(&rate, &opts, 0), 0);
	for (int second = 1; second <= 7; second++)
		weir_rate_take(&rate, 1, second * WEIR_SEC);
	opts = (struct weir_rate_options){.count = 10, .period = 3600 * WEIR_SEC, .kind = WEIR_RATE_LOG};
	ck_assert_int_eq(weir_rate_set(&rate, &opts, 7 * WEIR_SEC), 0);
	ck_assert_int_eq(weir_rate_next(&rate, 2, 7 * WEIR_SEC), 7 * WEIR_SEC);
	ck_assert_int_eq(weir_rate_next(&rate, 3, 7 * WEIR_SEC), 3600 * WEIR_SEC);
	weir_rate_fini(&rate);
}

TEST(rate_refuses_options_out_of_range_and_stays_as_it_was)
{
	static const struct weir_rate_options wrong[] = {
		{.count = 0},
		{.count = 1000000001},
		{.count = 1, .period = -1},
		{.count = 1, .period = YEAR + 1},
		{.count = 1, .burst = 1000001},
		{.count = 1000001, .kind = WEIR_RATE_LOG},
		{.count = 1, .kind = 3},
	};
	struct weir_rate rate = new_rate((struct weir_rate_options){.count = 1});
	weir_rate_take(&rate, 1, 0);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct weir_rate untouched = {.at = 4711};
		ck_assert_int_eq(weir_rate_init(&untouched, &wrong[i]), WEIR_EINVAL);
		ck_assert_int_eq(untouched.at, 4711);
		ck_assert_int_eq(weir_rate_set(&rate, &wrong[i], 0), WEIR_EINVAL);
		ck_assert_int_eq(weir_rate_next(&rate, 1, 0), WEIR_SEC);
	}
	struct weir_rate_options other_kind = {.count = 1, .kind = WEIR_RATE_BUCKET};
	ck_assert_int_eq(weir_rate_set(&rate, &other_kind, 0), WEIR_EINVAL);
	weir_rate_fini(&rate);
	rate = (struct weir_rate){0};
	weir_rate_fini(&rate);
}

static void take_before_its_time(void)
{
	struct weir_rate rate = new_rate((struct weir_rate_options){.count = 1});
	weir_rate_take(&rate, 1, 0);
	breaks(weir_rate_take(&rate, 1, WEIR_SEC - 1));
}

static void take_more_than_the_burst(void)
{
	struct weir_rate rate = new_rate((struct weir_rate_options){.count = 1});
	breaks(weir_rate_take(&rate, 2, 0));
}

TEST(rate_broken_contracts_abort)
{
	assert_breaks(take_before_its_time, "weir_rate_take: called before weir_rate_next()");
	assert_breaks(take_more_than_the_burst, "weir_rate_take: called before weir_rate_next()");
}

/* ---- what is owed, elsewhere */

static void go_on_elsewhere(uint64_t *random, enum weir_rate_kind kind)
{
	struct weir_rate_options opts = any_options(random, kind);
	if ((wide)opts.burst * opts.period / opts.count > YEAR)
		return; /* a time does not go that far */
	struct weir_rate rate = new_rate(opts), other = new_rate(opts);
	weir_nsec now = 1 + (weir_nsec)weir_random_below(random, (uint64_t)WEIR_SEC);
	for (int i = 0; i < 50; i++) {
		uint64_t n = 1 + weir_random_below(random, opts.burst);
		weir_nsec at = weir_rate_next(&rate, n, now);
		weir_nsec after = weir_rate_paid_after(&rate, n, at);
		weir_rate_take(&rate, n, at);
		quick_assert(weir_rate_paid(&rate) == after);
		now = at;
	}
	weir_rate_owe(&other, weir_rate_paid(&rate), now);
	for (int i = 0; i < 50; i++) {
		uint64_t n = 1 + weir_random_below(random, opts.burst);
		weir_nsec here = weir_rate_next(&rate, n, now), there = weir_rate_next(&other, n, now);
		quick_assert(there >= here - 1 && there <= here + 1); /* a time is a whole nanosecond */
		now = here > there ? here : there;
		weir_rate_take(&rate, n, now);
		weir_rate_take(&other, n, now);
	}
	weir_rate_fini(&rate);
	weir_rate_fini(&other);
}

TEST(rate_that_is_owed_goes_on_as_if_it_had_never_stopped)
{
	uint64_t random = 17;
	for (int i = 0; i < 300; i++) {
		go_on_elsewhere(&random, WEIR_RATE_GCRA);
		go_on_elsewhere(&random, WEIR_RATE_BUCKET);
	}
}

TEST(rate_owes_a_burst_at_most_and_never_less_than_it_did)
{
	static const enum weir_rate_kind kinds[] = {WEIR_RATE_GCRA, WEIR_RATE_BUCKET};
	for (int i = 0; i < 2; i++) {
		struct weir_rate_options opts = {.count = 5, .period = 10 * WEIR_SEC, .burst = 5, .kind = kinds[i]};
		struct weir_rate rate = new_rate(opts);
		weir_nsec now = 100 * WEIR_SEC;
		ck_assert_int_eq(weir_rate_paid(&rate), 0);
		weir_rate_owe(&rate, 0, now);
		weir_rate_owe(&rate, -YEAR, now);
		ck_assert_int_eq(weir_rate_next(&rate, 5, now), now);
		weir_rate_owe(&rate, now + 100 * YEAR, now);
		ck_assert_int_eq(weir_rate_next(&rate, 1, now), now + 2 * WEIR_SEC);
		ck_assert_int_eq(weir_rate_paid(&rate), now + 10 * WEIR_SEC);
		weir_rate_owe(&rate, now + WEIR_SEC, now);
		ck_assert_int_eq(weir_rate_paid(&rate), now + 10 * WEIR_SEC);
	}
	struct weir_rate log = new_rate((struct weir_rate_options){.count = 5, .kind = WEIR_RATE_LOG});
	weir_rate_owe(&log, 100, 0);
	ck_assert_int_eq(weir_rate_next(&log, 5, 0), 0);
	ck_assert_int_eq(weir_rate_paid_after(&log, 1, 0), 0);
	weir_rate_fini(&log);
}
