/* SPDX-License-Identifier: MIT */
/*
 * What `auto` makes of the first jobs.  The rules stand in the order in which they are asked, and docs/flow.md has the
 * same table with the reasons.  A rule fills in the choice and answers true, or leaves it and answers false.
 *
 * To add a rule: a function, its row in `rules` (its number is its place), its row in docs/flow.md, its test.
 */
#include "policy/choose.h"
#include <stdarg.h>
#include <stdio.h>
#include <weir/process.h>

#define CONCURRENCY      50    /* of the preset `queue` */
#define CONCURRENCY_MOST 10000 /* that is ever begun with */
#define FEW_JOBS         100   /* that may all be under way at once */
#define FEW_CALLS        20    /* of which nothing is concluded */
#define PER_SEC_MOST     1e9

static const double narrow_spread = 1.2; /* p95 / p50 */
static const double few_failures = 0.05, many_failures = 0.2;

/* The profile with everything in it that cannot be made harmless, and what follows from it. */
struct view {
	struct weir_profile profile;
	double spread;      /* p95 / p50; 0: not known */
	size_t fits;        /* jobs in memory; SIZE_MAX: any number */
	size_t concurrency; /* what would be without any rule */
};

static double clean(double value, double most)
{
	return value > 0 ? (value < most ? value : most) : 0; /* a NaN is 0 */
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static struct view look_at(const struct weir_profile *profile)
{
	struct view view = {.profile = *profile, .fits = SIZE_MAX};
	struct weir_profile *own = &view.profile;
	own->failed = clean(own->failed, 1);
	own->throttled = clean(own->throttled, 1);
	own->hinted_per_sec = clean(own->hinted_per_sec, PER_SEC_MOST);
	own->passed_per_sec = clean(own->passed_per_sec, PER_SEC_MOST);
	if (own->p50 > 0 && own->p95 > 0)
		view.spread = own->p95 > own->p50 ? (double)own->p95 / (double)own->p50 : 1;
	if (own->memory_bytes && own->job_bytes)
		view.fits = own->memory_bytes / own->job_bytes;
	if (!view.fits)
		view.fits = 1;
	view.concurrency = own->concurrency ? smaller(own->concurrency, CONCURRENCY_MOST) : CONCURRENCY;
	if (own->jobs && own->jobs <= FEW_JOBS)
		view.concurrency = (size_t)own->jobs;
	return view;
}

/* Sets the sentence. */
static void explain(struct weir_choice *choice, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void explain(struct weir_choice *choice, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(choice->why, sizeof choice->why, format, args);
	va_end(args);
}

struct number {
	char text[48];
};

/* Three digits, or all of those before the point. */
static struct number show(double value)
{
	struct number number;
	snprintf(number.text, sizeof number.text, value >= 100 ? "%.0f" : "%.3g", value);
	return number;
}

/* A share that is not nothing never reads as 0 %. */
static struct number percent(double share)
{
	return show(share * 100);
}

static struct number show_bytes(size_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	struct number number;
	double value = (double)bytes;
	size_t unit = 0;
	for (; value >= 1024 && unit < 4; unit++)
		value /= 1024;
	snprintf(number.text, sizeof number.text, "%.24s %s", show(value).text, units[unit]);
	return number;
}

/* As many at once as keep up with a rate, by Little's law, and half as many again for slow ones. */
static size_t keep_up_with(const struct view *view, double per_sec)
{
	double concurrency = per_sec * (double)view->profile.p95 / (double)WEIR_SEC * 1.5 + 1;
	if (view->profile.p95 <= 0)
		return view->concurrency;
	return concurrency < CONCURRENCY_MOST ? (size_t)concurrency : CONCURRENCY_MOST;
}

static void choose_rate(const struct view *view, double per_sec, struct weir_choice *choice)
{
	choice->pattern = WEIR_PATTERN_RATE;
	choice->per_sec = per_sec;
	choice->concurrency = smaller(keep_up_with(view, per_sec), view->fits);
}

/* ---- the rules */

static bool limit_is_hinted(const struct view *view, struct weir_choice *choice)
{
	double per_sec = view->profile.hinted_per_sec;
	if (per_sec <= 0)
		return false;
	choose_rate(view, per_sec, choice);
	explain(choice, "at most %s calls a second, as the server states", show(per_sec).text);
	return true;
}

static bool turned_some_away(const struct view *view, struct weir_choice *choice)
{
	double per_sec = view->profile.passed_per_sec;
	if (view->profile.throttled <= 0 || per_sec <= 0)
		return false;
	choose_rate(view, per_sec, choice);
	explain(choice, "at most about %s calls a second: above that the server answers 429 (%s %% of calls)",
		show(per_sec).text, percent(view->profile.throttled).text);
	return true;
}

static bool turned_all_away(const struct view *view, struct weir_choice *choice)
{
	if (view->profile.throttled <= 0)
		return false;
	choice->pattern = WEIR_PATTERN_QUEUE;
	choice->concurrency = 1;
	explain(choice, "%s %% of calls got a 429: starting with one call in flight",
		percent(view->profile.throttled).text);
	return true;
}

static bool memory_is_short_and_jobs_are_alike(const struct view *view, struct weir_choice *choice)
{
	if (view->fits >= view->concurrency || view->spread <= 0 || view->spread >= narrow_spread)
		return false;
	choice->pattern = WEIR_PATTERN_CHUNKED;
	choice->concurrency = view->fits;
	explain(choice, "%s of memory holds %zu jobs, and p95 is only %s times p50: batches of %zu",
		show_bytes(view->profile.memory_bytes).text, view->fits, show(view->spread).text, view->fits);
	return true;
}

static bool memory_is_short(const struct view *view, struct weir_choice *choice)
{
	if (view->fits >= view->concurrency)
		return false;
	choice->pattern = WEIR_PATTERN_QUEUE;
	choice->concurrency = view->fits;
	explain(choice, "%s of memory holds %zu jobs: at most %zu in flight",
		show_bytes(view->profile.memory_bytes).text, view->fits, view->fits);
	return true;
}

static bool jobs_are_few(const struct view *view, struct weir_choice *choice)
{
	const struct weir_profile *profile = &view->profile;
	if (!profile->jobs || profile->jobs > FEW_JOBS || profile->failed > few_failures)
		return false;
	choice->pattern = WEIR_PATTERN_NAIVE;
	explain(choice, "only %llu jobs, and %s %% of calls failed: no limit", (unsigned long long)profile->jobs,
		percent(profile->failed).text);
	return true;
}

static bool little_was_seen(const struct view *view, struct weir_choice *choice)
{
	if (view->profile.seen >= FEW_CALLS)
		return false;
	choice->pattern = WEIR_PATTERN_QUEUE;
	choice->concurrency = view->concurrency;
	explain(choice, "only %llu calls seen: starting with %zu in flight", (unsigned long long)view->profile.seen,
		view->concurrency);
	return true;
}

static bool many_failed(const struct view *view, struct weir_choice *choice)
{
	if (view->profile.failed < many_failures)
		return false;
	choice->pattern = WEIR_PATTERN_QUEUE;
	choice->concurrency = (view->concurrency + 1) / 2;
	explain(choice, "%s %% of %llu calls failed: at most %zu in flight, half as many as before",
		percent(view->profile.failed).text, (unsigned long long)view->profile.seen, choice->concurrency);
	return true;
}

static bool nothing_special(const struct view *view, struct weir_choice *choice)
{
	choice->pattern = WEIR_PATTERN_QUEUE;
	choice->concurrency = view->concurrency;
	if (view->spread > 0)
		explain(choice, "p95 is %s times p50, %s %% of %llu calls failed: at most %zu in flight",
			show(view->spread).text, percent(view->profile.failed).text,
			(unsigned long long)view->profile.seen, view->concurrency);
	else
		explain(choice, "%s %% of %llu calls failed: at most %zu in flight", percent(view->profile.failed).text,
			(unsigned long long)view->profile.seen, view->concurrency);
	return true;
}

void weir__choose(const struct weir_profile *profile, struct weir_choice *ret_choice)
{
	static bool (*const rules[])(const struct view *, struct weir_choice *) = {
		limit_is_hinted, turned_some_away, turned_all_away, memory_is_short_and_jobs_are_alike,
		memory_is_short, jobs_are_few,     little_was_seen, many_failed,
		nothing_special,
	};
	struct view view = look_at(profile);
	struct weir_choice choice = {0};
	do {
		choice.rule++;
	} while (!rules[choice.rule - 1](&view, &choice));
	*ret_choice = choice;
}
