/* SPDX-License-Identifier: MIT */
/*
 * Measures what holds the run back, and how much of each resource is in use (why.h): at each look of the watch, from
 * counts and times that are there anyway.  So items cost nothing for it.
 */
#include "engine/internal.h"

#include <string.h>
#include <time.h>

/* Of one processor, for its loop is one thread: more is not to be had. */
#define CPU_SATURATED 0.9

/* Not of the loop's clock: in tests that is virtual. */
static weir_nsec cpu_time(void)
{
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return time.tv_sec * WEIR_SEC + time.tv_nsec;
}

/* How much a time has grown since the last look, as a share of what has passed. */
static double grown(weir_nsec *last, weir_nsec now, weir_nsec passed)
{
	double share = (double)(now - *last) / (double)passed;
	*last = now;
	return share;
}

static double calls_share(const struct engine *engine, const struct engine_flow *flow)
{
	size_t most = flow->adaptive ? engine->pace.most : flow->concurrency;
	return most ? (double)engine->load.in_flight / (double)most : 0;
}

/* Of the rate of the upstream that is spoken of; nothing when that was another one at the last look. */
static double rate_share(struct engine_meter *meter, const struct engine_flow *flow, weir_nsec passed)
{
	bool is_same = !strcmp(meter->upstream, flow->upstream) && flow->entered >= meter->calls;
	double calls = is_same ? (double)(flow->entered - meter->calls) : 0;
	memcpy(meter->upstream, flow->upstream, sizeof meter->upstream);
	meter->calls = flow->entered;
	return flow->per_sec > 0 ? calls * (double)WEIR_SEC / (double)passed / flow->per_sec : 0;
}

static weir_nsec stalled(const struct engine_input *input)
{
	return input->stalled + (input->put_since ? weir_now() - input->put_since : 0);
}

static void measure_shares(struct engine *engine, const struct engine_flow *flow, weir_nsec passed,
			   double ret_shares[USES])
{
	struct engine_meter *meter = &engine->meter;
	const struct output *sink = engine->sinks.outputs[OUTLET_SINK];
	double waits = grown(&meter->stalled, stalled(&engine->input), passed);
	ret_shares[USE_CALLS] = calls_share(engine, flow);
	ret_shares[USE_RATE] = rate_share(meter, flow, passed);
	ret_shares[USE_SINK] = sink ? grown(&meter->writing, output_spent(sink, OUTPUT_WRITES), passed) : 0;
	ret_shares[USE_BROKER] = sink ? grown(&meter->acking, output_spent(sink, OUTPUT_ACKS), passed) : 0;
	ret_shares[USE_SOURCE] = engine->input.source && !engine->input.ended ? 1 - waits : 0;
	ret_shares[USE_CPU] = grown(&meter->cpu, cpu_time(), passed);
}

/* A loop that computes all the time has everything else look busy, but for what it waits for on purpose. */
static bool may_be_cpu(enum engine_why why)
{
	return why == WHY_UPSTREAM || why == WHY_STEPS || why == WHY_CONCURRENCY || why == WHY_SOURCE ||
	       why == WHY_SINK || why == WHY_BROKER;
}

void engine_measure(struct engine *engine, const struct engine_flow *flow)
{
	struct engine_meter *meter = &engine->meter;
	weir_nsec now = weir_now(), passed = now - meter->at;
	double shares[USES], seconds = (double)passed / (double)WEIR_SEC;
	bool is_first = !meter->at;
	enum engine_why why = flow->now;
	if (!passed)
		return;
	meter->at = now;
	measure_shares(engine, flow, passed, shares);
	if (is_first)
		return;
	if (shares[USE_CPU] >= CPU_SATURATED && may_be_cpu(why))
		why = WHY_CPU;
	why_forget(&meter->late, seconds);
	why_add(&meter->late, seconds, why, shares);
	why_add(&meter->all, seconds, why, shares);
}
