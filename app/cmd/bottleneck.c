/* SPDX-License-Identifier: MIT */
#include "cmd/bottleneck.h"

#include "data/units.h"

#include <time.h>
#include <weir/weir.h>

/* Beyond that people want to know the time of day. */
#define CLOCK_FROM 600.0

enum { TIME_CELLS = 20 };

/* Behind "limited by". */
static const char *const limits[WHYS] = {
	[WHY_END] = "nothing",
	[WHY_UPSTREAM] = "the latency of the upstream",
	[WHY_STEPS] = "the steps on this machine",
	[WHY_CONCURRENCY] = "your concurrency",
	[WHY_RATE_OWN] = "your rate",
	[WHY_RATE_HINT] = "the rate limit of the upstream",
	[WHY_RATE_FOUND] = "the rate limit of the upstream",
	[WHY_SHUT] = "the rate limit of the upstream (Retry-After)",
	[WHY_THROTTLED] = "the rate limit of the upstream (429)",
	[WHY_BREAKER] = "an upstream that fails",
	[WHY_DENIED] = "an upstream that denies calls",
	[WHY_RETRIES] = "items that wait for their next attempt",
	[WHY_PAUSED] = "a pause",
	[WHY_DISK] = "a full disk",
	[WHY_MEMORY] = "flow.max_memory",
	[WHY_SOURCE] = "the source",
	[WHY_ORDER] = "the order of the sink: rows wait for an earlier item",
	[WHY_SINK] = "the sink",
	[WHY_BROKER] = "the writes of the state",
	[WHY_CPU] = "the CPU: one core is busy",
};

/* What is behind it in parentheses; all that there is has no number. */
static void add_number(const struct report *report, enum engine_why why, struct buf *out)
{
	const struct engine_flow *flow = &report->flow;
	bool is_all = flow->adaptive && flow->choice_pattern == WEIR_PATTERN_NAIVE;
	char text[32];
	if (why == WHY_CONCURRENCY)
		buf_addf(out, " (%s)", units_number_text(flow->concurrency, text));
	else if (why == WHY_UPSTREAM && flow->adaptive && !is_all)
		buf_addf(out, " (auto: %s call%s at a time)", units_number_text(flow->concurrency, text),
			 flow->concurrency == 1 ? "" : "s");
	else if (why == WHY_RATE_OWN && report->own_rate[0])
		buf_addf(out, " (%s)", report->own_rate);
	else if (why == WHY_RATE_HINT || why == WHY_RATE_FOUND)
		buf_addf(out, " (%s, %s)", units_per_second_text(flow->per_sec, text),
			 why == WHY_RATE_HINT ? "from its answers" : "found");
}

/* "in 15 s", "at 14:52", "on Tue at 14:52" */
static void add_when(double seconds, struct buf *out)
{
	char text[32];
	struct tm tm;
	time_t at = time(NULL) + (time_t)seconds;
	if (seconds < CLOCK_FROM || !localtime_r(&at, &tm))
		buf_addf(out, "in %s", units_seconds_text(seconds, text));
	else if (strftime(text, sizeof text, seconds < 18 * 3600.0 ? "at %H:%M" : "on %b %e at %H:%M", &tm))
		buf_add_str(out, text);
}

/* Twice of what? */
static const char *name_twice(enum engine_why cause, enum why_use twice)
{
	switch (twice) {
	case USE_RATE:
		return cause == WHY_RATE_HINT || cause == WHY_RATE_FOUND ? "twice the quota" : "twice the rate";
	case USE_SINK:
		return "a sink twice as fast";
	case USE_SOURCE:
		return "a source twice as fast";
	default:
		return cause == WHY_UPSTREAM ? "half the latency" : "twice the concurrency";
	}
}

/* seconds: that it takes as it is, below 0: nobody knows; share: so much of that the cause takes, and the rest stays.
 */
static void add_if(enum engine_why cause, const struct why_if *what, double share, double seconds, struct buf *out)
{
	const char *twice = name_twice(cause, what->twice);
	double faster = 1 / (1 - share + share / what->faster);
	if (faster < WHY_DIFFERENCE) {
		buf_addf(out, "; %s: no difference",
			 what->twice == USE_CALLS && cause != WHY_UPSTREAM ? "more concurrency" : twice);
		return;
	}
	buf_addf(out, "; with %s ", twice);
	if (seconds >= 0)
		add_when(seconds / faster, out);
	else
		buf_addf(out, "%.1f times as fast", faster);
}

/* What limits, for how much of the time. */
static void add_cause(const struct report *report, const struct why *why, struct buf *out)
{
	buf_add_str(out, limits[why->cause]);
	add_number(report, why->cause, out);
	if (why->share >= 0.01)
		buf_addf(out, ", %.0f %% of the time", why->share * 100);
}

static void add_ifs(const struct why *why, double share, double seconds, struct buf *out)
{
	for (size_t i = 0; i < why->if_count; i++)
		add_if(why->cause, &why->ifs[i], share, seconds, out);
}

void bottleneck_add(const struct report *report, struct buf *out)
{
	const struct why *why = &report->whole;
	add_cause(report, why, out);
	add_ifs(why, why->share, report->now.state == ENGINE_DONE ? report_wall_seconds() : -1, out);
}

void bottleneck_add_limit(const struct report *report, struct buf *out)
{
	double eta = report_eta(report);
	if (report->now.state != ENGINE_RUNNING || report->why.cause == WHY_END)
		return;
	buf_add_str(out, "limited by ");
	add_cause(report, &report->why, out);
	if (eta >= 0) {
		buf_add_str(out, "; done ");
		add_when(eta, out);
	}
	add_ifs(&report->why, 1, eta, out);
}

bool bottleneck_say(const struct report *report, struct buf *out)
{
	const struct engine_flow *flow = &report->flow;
	bool is_running = report->now.state == ENGINE_RUNNING;
	char n[32];
	if (report->now.state == ENGINE_DRAINING)
		buf_addf(out, "stopping: %s in flight", units_number_text(report->now.in_flight, n));
	else if (flow->paused)
		buf_addf(out, "paused%s%s; weir resume %s continues", flow->pause[0] ? ": " : "", flow->pause,
			 report->where ? report->where : report->name);
	else if (flow->disk[0])
		buf_addf(out, "disk full: cannot write to %s", flow->disk);
	else if (flow->trouble[0])
		buf_add_str(out, flow->trouble);
	else
		bottleneck_add_limit(report, out);
	return is_running && (flow->paused || flow->disk[0] || flow->trouble[0]);
}

void bottleneck_add_time(const struct report *report, struct buf *out)
{
	static const char marks[SPENT_PLACES] = {'#', '=', '~', '%', '-', '.'};
	double all = 0, sum = 0;
	for (size_t i = 0; i < SPENT_PLACES; i++)
		all += report->spent[i];
	for (size_t i = 0, cells = 0; i < SPENT_PLACES && all > 0; i++)
		for (sum += report->spent[i]; cells < (size_t)(sum / all * TIME_CELLS + 0.5); cells++)
			buf_add_char(out, marks[i]);
	for (size_t i = 0, n = 0; i < SPENT_PLACES; i++)
		if (all > 0 && report->spent[i] / all >= 0.01)
			buf_addf(out, "%s %c %s %.0f %%", n++ ? "," : "", marks[i], why_place_name((enum why_place)i),
				 report->spent[i] / all * 100);
}
