/* SPDX-License-Identifier: MIT */
/*
 * Rates, in ticks of 1 / count of a nanosecond: then every number in them is whole.
 *
 *     GCRA     the theoretical arrival time (TAT) is when the debt is paid off
 *
 *                   now            TAT - burst * period + n * period        TAT
 *              ------|-------------------------|----------------------------|---> ticks
 *                                              '- n may pass from here on
 *
 *     bucket   holds burst * period ticks at most, gains `count` in a nanosecond, an item takes `period`
 *     log      a ring of times; n may pass when all but count - n of them are a period old
 *
 * Whoever waits for a tick in the middle of a nanosecond comes at the end of that nanosecond.  What is left of it is
 * not lost, or each wait would lose some and a rate of 666,666,666/s would become one of 500,000,000/s: TAT may lie
 * count - 1 ticks in the past, the bucket hold as many more than its burst.
 */
#include "base/contract.h"

#include <stdlib.h>
#include <weir/rate.h>

__extension__ typedef __int128 ticks;

#define COUNT_MOST  1000000000u
#define BURST_MOST  1000000u
#define LOG_MOST    1000000u
#define PERIOD_MOST (365 * 24 * 3600 * WEIR_SEC)

/* Before every time there is: nothing has passed yet. */
#define LONG_AGO (-((ticks)1 << 120))

static ticks larger(ticks a, ticks b)
{
	return a > b ? a : b;
}

static ticks smaller(ticks a, ticks b)
{
	return a < b ? a : b;
}

/* The first nanosecond that is not before it; as far as times go. */
static weir_nsec to_nsec(ticks at, uint64_t count)
{
	if (at <= 0)
		return (weir_nsec)(at / count);
	return (weir_nsec)smaller((at + count - 1) / count, INT64_MAX);
}

/* With their defaults; WEIR_EINVAL. */
static int check_options(const struct weir_rate_options *opts, struct weir_rate_options *ret_opts)
{
	struct weir_rate_options checked = *opts;
	if (!checked.period)
		checked.period = WEIR_SEC;
	if (!checked.burst)
		checked.burst = 1;
	if (checked.kind != WEIR_RATE_GCRA && checked.kind != WEIR_RATE_BUCKET && checked.kind != WEIR_RATE_LOG)
		return WEIR_EINVAL;
	if (!checked.count || checked.count > (checked.kind == WEIR_RATE_LOG ? LOG_MOST : COUNT_MOST))
		return WEIR_EINVAL;
	if (checked.period < 0 || checked.period > PERIOD_MOST || checked.burst > BURST_MOST)
		return WEIR_EINVAL;
	*ret_opts = checked;
	return 0;
}

/* ---- GCRA */

static weir_nsec gcra_next(const struct weir_rate *rate, uint64_t n, weir_nsec now)
{
	ticks may = rate->ticks + ((ticks)n - (ticks)rate->options.burst) * rate->options.period;
	return may <= (ticks)now * rate->options.count ? now : to_nsec(may, rate->options.count);
}

static void gcra_take(struct weir_rate *rate, uint64_t n, weir_nsec now)
{
	ticks least = (ticks)now * rate->options.count - (rate->options.count - 1);
	rate->ticks = larger(rate->ticks, least) + (ticks)n * rate->options.period;
}

/* ---- the bucket */

static ticks bucket_level(const struct weir_rate *rate, weir_nsec now)
{
	const struct weir_rate_options *opts = &rate->options;
	if (now <= rate->at)
		return rate->ticks;
	ticks most = (ticks)opts->burst * opts->period + (opts->count - 1);
	return smaller(most, rate->ticks + ((ticks)now - rate->at) * opts->count);
}

static weir_nsec bucket_next(const struct weir_rate *rate, uint64_t n, weir_nsec now)
{
	ticks lack = (ticks)n * rate->options.period - bucket_level(rate, now);
	if (lack <= 0)
		return now;
	weir_nsec from = now > rate->at ? now : rate->at;
	return to_nsec((ticks)from * rate->options.count + lack, rate->options.count);
}

static void bucket_take(struct weir_rate *rate, uint64_t n, weir_nsec now)
{
	rate->ticks = bucket_level(rate, now) - (ticks)n * rate->options.period;
	if (now > rate->at)
		rate->at = now;
}

/* ---- the log */

static weir_nsec stamp(const struct weir_rate *rate, uint64_t i)
{
	return rate->stamps[(rate->first + i) % rate->room];
}

static weir_nsec log_next(const struct weir_rate *rate, uint64_t n, weir_nsec now)
{
	uint64_t kept = rate->options.count - n; /* that may be younger than a period */
	weir_nsec may;
	if (rate->used <= kept)
		return now;
	if (__builtin_add_overflow(stamp(rate, rate->used - kept - 1), rate->options.period, &may))
		return INT64_MAX;
	return may <= now ? now : may;
}

static void log_take(struct weir_rate *rate, uint64_t n, weir_nsec now)
{
	if (now > rate->at)
		rate->at = now;
	for (uint64_t i = 0; i < n; i++) {
		rate->stamps[(rate->first + rate->used) % rate->room] = rate->at;
		if (rate->used < rate->room)
			rate->used++;
		else
			rate->first = (rate->first + 1) % rate->room;
	}
}

/* The ring only grows: with a lower count, and a higher one after that, the times of before are still needed. */
static int set_log(struct weir_rate *rate, const struct weir_rate_options *opts)
{
	if (opts->count > rate->room) {
		weir_nsec *stamps = calloc(opts->count, sizeof *stamps);
		if (!stamps)
			return WEIR_ENOMEM;
		for (uint64_t i = 0; i < rate->used; i++)
			stamps[i] = stamp(rate, i);
		free(rate->stamps);
		rate->stamps = stamps;
		rate->room = opts->count;
		rate->first = 0;
	}
	rate->options = *opts;
	return 0;
}

/* ---- all kinds */

int weir_rate_init(struct weir_rate *rate, const struct weir_rate_options *opts)
{
	struct weir_rate made = {.at = INT64_MIN};
	int code = check_options(opts, &made.options);
	if (code)
		return code;
	if (made.options.kind == WEIR_RATE_GCRA)
		made.ticks = LONG_AGO;
	else if (made.options.kind == WEIR_RATE_BUCKET)
		made.ticks = (ticks)made.options.burst * made.options.period;
	else if ((code = set_log(&made, &made.options)))
		return code;
	*rate = made;
	return 0;
}

void weir_rate_fini(struct weir_rate *rate)
{
	free(rate->stamps);
	*rate = (struct weir_rate){0};
}

weir_nsec weir_rate_next(const struct weir_rate *rate, uint64_t n, weir_nsec now)
{
	const struct weir_rate_options *opts = &rate->options;
	if (n > (opts->kind == WEIR_RATE_LOG ? opts->count : opts->burst))
		return WEIR_FOREVER;
	if (opts->kind == WEIR_RATE_GCRA)
		return gcra_next(rate, n, now);
	return opts->kind == WEIR_RATE_BUCKET ? bucket_next(rate, n, now) : log_next(rate, n, now);
}

void weir__rate_take(const char *here, struct weir_rate *rate, uint64_t n, weir_nsec now)
{
	weir__require(weir_rate_next(rate, n, now) == now, here, "weir_rate_take: called before weir_rate_next()");
	if (rate->options.kind == WEIR_RATE_GCRA)
		gcra_take(rate, n, now);
	else if (rate->options.kind == WEIR_RATE_BUCKET)
		bucket_take(rate, n, now);
	else
		log_take(rate, n, now);
}

#undef weir_rate_take
void weir_rate_take(struct weir_rate *rate, uint64_t n, weir_nsec now)
{
	weir__rate_take(NULL, rate, n, now);
}

/* ---- what is owed */

weir_nsec weir_rate_paid(const struct weir_rate *rate)
{
	const struct weir_rate_options *opts = &rate->options;
	if (opts->kind == WEIR_RATE_GCRA)
		return rate->ticks > 0 ? to_nsec(rate->ticks, opts->count) : 0;
	ticks lack = (ticks)opts->burst * opts->period - rate->ticks;
	if (opts->kind == WEIR_RATE_LOG || lack <= 0)
		return 0;
	return to_nsec((ticks)rate->at * opts->count + lack, opts->count);
}

weir_nsec weir_rate_paid_after(const struct weir_rate *rate, uint64_t n, weir_nsec at)
{
	struct weir_rate after = *rate;
	if (rate->options.kind == WEIR_RATE_LOG)
		return 0;
	weir_rate_take(&after, n, at);
	return weir_rate_paid(&after);
}

void weir_rate_owe(struct weir_rate *rate, weir_nsec until, weir_nsec now)
{
	const struct weir_rate_options *opts = &rate->options;
	ticks most = (ticks)opts->burst * opts->period, debt = ((ticks)until - now) * opts->count;
	if (until <= now || opts->kind == WEIR_RATE_LOG)
		return;
	debt = smaller(debt, most);
	if (opts->kind == WEIR_RATE_GCRA)
		rate->ticks = larger(rate->ticks, (ticks)now * opts->count + debt);
	else
		rate->ticks = smaller(bucket_level(rate, now), most - debt);
	if (opts->kind == WEIR_RATE_BUCKET && now > rate->at)
		rate->at = now;
}

/* ---- changing it */

/* What may pass at once (a level over the burst is that of long ago), told in items, whole ones and the rest apart so
 * that nothing overflows; rounded down. */
static ticks convert_level(ticks level, const struct weir_rate_options *from, const struct weir_rate_options *to)
{
	level = smaller(level, (ticks)from->burst * from->period);
	ticks same = level / from->period * to->period + level % from->period * to->period / from->period;
	return smaller(same, (ticks)to->burst * to->period);
}

static void set_gcra(struct weir_rate *rate, const struct weir_rate_options *opts, weir_nsec now)
{
	ticks debt = rate->ticks - (ticks)now * rate->options.count;
	ticks level = (ticks)rate->options.burst * rate->options.period - debt;
	ticks new_debt = (ticks)opts->burst * opts->period - convert_level(level, &rate->options, opts);
	rate->ticks = (ticks)now * opts->count + new_debt;
	rate->options = *opts;
}

static void set_bucket(struct weir_rate *rate, const struct weir_rate_options *opts, weir_nsec now)
{
	rate->ticks = convert_level(bucket_level(rate, now), &rate->options, opts);
	if (now > rate->at)
		rate->at = now;
	rate->options = *opts;
}

int weir_rate_set(struct weir_rate *rate, const struct weir_rate_options *opts, weir_nsec now)
{
	struct weir_rate_options checked;
	int code = check_options(opts, &checked);
	if (code)
		return code;
	if (checked.kind != rate->options.kind)
		return WEIR_EINVAL;
	if (checked.kind == WEIR_RATE_LOG)
		return set_log(rate, &checked);
	if (checked.kind == WEIR_RATE_GCRA)
		set_gcra(rate, &checked, now);
	else
		set_bucket(rate, &checked, now);
	return 0;
}
