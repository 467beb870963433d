/* SPDX-License-Identifier: MIT */
#include "cmd/bottleneck.h"

#include "data/units.h"

#include <weir/weir.h>

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
};

/* What is behind it in parentheses; all that there is has no number. */
void bottleneck_add(const struct report *report, enum engine_why why, struct buf *out)
{
	const struct engine_flow *flow = &report->flow;
	bool is_all = flow->adaptive && flow->choice_pattern == WEIR_PATTERN_NAIVE;
	char text[32];
	buf_add_str(out, limits[why]);
	if (why == WHY_CONCURRENCY)
		buf_addf(out, " (%s)", units_number_text(flow->concurrency, text));
	else if (why == WHY_UPSTREAM && flow->adaptive && !is_all)
		buf_addf(out, " (auto: %s calls at a time)", units_number_text(flow->concurrency, text));
	else if (why == WHY_RATE_OWN && report->own_rate[0])
		buf_addf(out, " (%s)", report->own_rate);
	else if (why == WHY_RATE_HINT || why == WHY_RATE_FOUND)
		buf_addf(out, " (%s, %s)", units_per_second_text(flow->per_sec, text),
			 why == WHY_RATE_HINT ? "from its answers" : "found");
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
	else if (is_running && flow->why != WHY_END) {
		buf_add_str(out, "limited by ");
		bottleneck_add(report, flow->why, out);
	}
	return is_running && (flow->paused || flow->disk[0] || flow->trouble[0]);
}
