/* SPDX-License-Identifier: MIT */
#include "cmd/words.h"

#include "cmd/block.h"
#include "cmd/bottleneck.h"
#include "data/units.h"

#include <unistd.h>
#include <weir/weir.h>

static double in_seconds(weir_nsec ns)
{
	return (double)ns / (double)WEIR_SEC;
}

void words_classes(const struct engine_stats *now, struct buf *out)
{
	char a[32], b[32], sla[32], wait[32];
	for (size_t i = 0; i < now->class_count; i++) {
		const struct engine_class *class = &now->classes[i];
		units_duration_text(class->sla, sla);
		buf_addf(out, "  class %lld: %s of %s began later than %s; the longest wait was %s\n",
			 (long long)class->number, units_number_text(class->late, a),
			 units_number_text(weir_histogram_count(class->waits), b), sla,
			 units_seconds_text(in_seconds(weir_histogram_max(class->waits)), wait));
	}
}

static void add_limits(const struct report *report, struct buf *out)
{
	const struct engine_flow *flow = &report->flow;
	char number[32];
	buf_addf(out, "concurrency %s%s, rate %s", units_number_text(flow->concurrency, number),
		 flow->adaptive ? " (auto)" : "", report->own_rate[0] ? report->own_rate : "none");
}

static void add_breaker(const struct engine_flow *flow, struct buf *out)
{
	char number[32];
	if (flow->breaker_opened)
		buf_addf(out, ", breaker %s (opened %s time%s)", weir_breaker_state_name(flow->breaker),
			 units_number_text(flow->breaker_opened, number), flow->breaker_opened == 1 ? "" : "s");
}

static void add_sentence(const struct report *report, struct buf *out)
{
	struct buf sentence = {0};
	bool is_trouble = bottleneck_say(report, &sentence);
	if (sentence.len) {
		buf_add_str(out, is_trouble ? "  ! " : "  ");
		terminal_add(out, sentence.data);
		buf_add_char(out, '\n');
	}
	buf_fini(&sentence);
}

static void add_time(const struct report *report, struct buf *out)
{
	struct buf time = {0};
	bottleneck_add_time(report, &time);
	if (time.len)
		buf_addf(out, "  time: %s\n", time.data);
	buf_fini(&time);
}

void words_status(const struct report *report, struct buf *out)
{
	char text[32];
	buf_addf(out, "%s: %s, pid %ld, %s\n  ", report->name, engine_state_name(report->now.state), (long)getpid(),
		 units_seconds_text(report_wall_seconds(), text));
	block_add_pace(report, out);
	buf_add_str(out, "\n  ");
	block_add_counts(report, out);
	buf_add_str(out, "\n  ");
	add_limits(report, out);
	add_breaker(&report->flow, out);
	buf_add_char(out, '\n');
	add_sentence(report, out);
	add_time(report, out);
	words_classes(&report->now, out);
	if (report->flow.chosen)
		buf_addf(out, "  auto's first choice: %s\n", report->flow.choice);
	if (report->url)
		buf_addf(out, "  metrics: %s/metrics\n", report->url);
}

void words_limits(const struct report *report, struct buf *out)
{
	buf_addf(out, "%s: ", report->name);
	add_limits(report, out);
	buf_add_str(out, report->flow.paused ? ", paused\n" : "\n");
}
