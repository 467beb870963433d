/* SPDX-License-Identifier: MIT */
/* Series, and what can be read from them. */
#include "bench/result.h"

const char *bench_cause_name(enum bench_cause cause)
{
	static const char *const names[] = {
#define BENCH_X(name, text) [BENCH_CAUSE_##name] = (text),
		BENCH_CAUSES(BENCH_X)
#undef BENCH_X
	};
	return names[cause];
}

static void halve(struct bench_series *series, bool sums)
{
	for (size_t i = 0; i < BENCH_SERIES_PLACES / 2; i++) {
		double a = series->value[2 * i], b = series->value[2 * i + 1];
		series->value[i] = sums ? a + b : a > b ? a : b;
	}
	for (size_t i = BENCH_SERIES_PLACES / 2; i < BENCH_SERIES_PLACES; i++)
		series->value[i] = 0;
	series->used = (series->used + 1) / 2;
	series->step *= 2;
}

static double *find_place(struct bench_series *series, weir_nsec at, bool sums)
{
	if (series->step <= 0)
		series->step = 10 * WEIR_MSEC;
	at = at < 0 ? 0 : at;
	while (at / series->step >= BENCH_SERIES_PLACES)
		halve(series, sums);
	size_t place = (size_t)(at / series->step);
	if (place >= series->used)
		series->used = place + 1;
	return &series->value[place];
}

void bench_series_add(struct bench_series *series, weir_nsec at, double value)
{
	*find_place(series, at, true) += value;
}

void bench_series_most(struct bench_series *series, weir_nsec at, double value)
{
	double *place = find_place(series, at, false);
	if (value > *place)
		*place = value;
}

/* How much of the series lies between two times; steps that are cut count by their share. */
static double sum_between(const struct bench_series *series, weir_nsec from, weir_nsec to)
{
	double sum = 0;
	for (size_t i = from > 0 ? (size_t)(from / series->step) : 0; i < series->used; i++) {
		weir_nsec low = (weir_nsec)i * series->step, high = low + series->step;
		if (low >= to)
			break;
		weir_nsec part = (high < to ? high : to) - (low > from ? low : from);
		sum += series->value[i] * (double)part / (double)series->step;
	}
	return sum;
}

void bench_recovery_find(const struct bench_series *good, weir_nsec warm, weir_nsec window,
			 struct bench_recovery *recovery)
{
	weir_nsec end = (weir_nsec)good->used * good->step;
	recovery->took = -1;
	recovery->before = 0;
	if (recovery->from <= warm || window <= 0 || good->step <= 0)
		return;
	recovery->before = sum_between(good, warm, recovery->from) * 1e9 / (double)(recovery->from - warm);
	double enough = 0.9 * recovery->before * (double)window / 1e9;
	for (weir_nsec at = recovery->to; enough > 0 && at + window <= end; at += good->step)
		if (sum_between(good, at, at + window) >= enough) {
			recovery->took = at - recovery->to;
			return;
		}
}
