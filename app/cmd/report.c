/* SPDX-License-Identifier: MIT */
/*
 * See report.h.  The rate is that of the last three seconds, or of the time in which the last 20 items were settled, at
 * most half a minute: it follows a run that gets faster or slower, and one of a few items a minute still has
 * one.
 */
#include "cmd/report.h"

#include "data/units.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <weir/weir.h>

#define MARK_PERIOD WEIR_SEC
#define RATE_LEAST  (3 * WEIR_SEC)
#define STILL_TIME  (10 * WEIR_SEC)

enum { RATE_ITEMS = 20 };

uint64_t report_settled(const struct report *report)
{
	const struct engine_stats *now = &report->now;
	return now->succeeded + now->dead + now->dropped;
}

uint64_t report_settled_here(const struct report *report)
{
	return report_settled(report) - report->now.settled_before;
}

static struct report_mark *mark_at(struct report *report, size_t back)
{
	return &report->marks[(report->mark_count - 1 - back) % REPORT_MARKS];
}

static uint64_t settled_since(const struct report_mark *mark, uint64_t settled)
{
	return settled > mark->settled ? settled - mark->settled : 0; /* less: dead letters are replayed */
}

void report_mark(struct report *report, weir_nsec now, uint64_t settled)
{
	const struct report_mark *from = NULL;
	for (size_t back = 0; back < report->mark_count && back < REPORT_MARKS; back++) {
		from = mark_at(report, back);
		if (now - from->at >= RATE_LEAST && settled_since(from, settled) >= RATE_ITEMS)
			break;
	}
	if (from && now > from->at)
		report->rate = (double)settled_since(from, settled) * (double)WEIR_SEC / (double)(now - from->at);
	if (report->mark_count && now - mark_at(report, 0)->at < MARK_PERIOD)
		return;
	report->mark_count++;
	*mark_at(report, 0) = (struct report_mark){now, settled};
}

static void look_why(struct report *report)
{
	const struct engine_flow *flow = &report->flow;
	why_explain(flow->late, flow->why, &report->why);
	why_explain(flow->all, why_most(flow->all), &report->whole);
	why_places(flow->all, report->spent);
}

void report_look(struct report *report)
{
	weir_nsec now = weir_now();
	engine_stats(report->engine, &report->now);
	engine_flow(report->engine, &report->flow);
	if (!report->looked_at)
		report->settled = report->now.settled_before;
	if (!report->looked_at || report_settled(report) != report->settled)
		report->settled_at = now;
	report_mark(report, now, report_settled(report));
	if (report->flow.own_rate.count)
		units_rate_text(report->flow.own_rate.count, report->flow.own_rate.period, report->own_rate);
	else
		report->own_rate[0] = 0;
	report->looked_at = now;
	report->settled = report_settled(report);
	look_why(report);
}

double report_wall_seconds(void)
{
	char text[1024];
	unsigned long long ticks = 0;
	struct timespec now;
	FILE *file = fopen("/proc/self/stat", "re");
	size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
	if (file)
		fclose(file);
	text[n] = 0;
	/* The 20th field after the name, which is in parentheses and may hold anything. */
	const char *at = strrchr(text, ')');
	if (!at || sscanf(at + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
			  &ticks) != 1)
		return 0;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9 - (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

bool report_stands_still(const struct report *report)
{
	return why_is_hold(report->flow.why);
}

double report_eta(const struct report *report)
{
	const struct engine_stats *now = &report->now;
	int64_t left = now->total - (int64_t)report_settled(report);
	if (now->total < 0 || report->rate <= 0 || left < 0)
		return -1;
	/* The average has forgotten all that was settled: what it says is no rate. */
	if (left && report->looked_at - report->settled_at > STILL_TIME)
		return -1;
	if (now->state == ENGINE_RUNNING && report_stands_still(report))
		return -1;
	return (double)left / report->rate;
}

double report_cpu_seconds(void)
{
	double seconds = 0;
	for (int who = RUSAGE_CHILDREN; who <= RUSAGE_SELF; who++) {
		struct rusage usage;
		getrusage(who, &usage);
		seconds += (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
	}
	return seconds;
}
