/* SPDX-License-Identifier: MIT */
/*
 * What two refusals tell: in between a bucket was filled and emptied, so what was let through is the rate times the
 * time.  Not if that was less than its burst; and where the server was shut for a while, tokens may have been lost.
 */
#include "policy/pace.h"
#include "policy/reckon.h"

enum { CALLS_LEAST = 20 };

#define SPAN_LEAST (100 * WEIR_MSEC)

struct weir__pace_span weir__pace_span_since(const struct weir__pace *pace, const struct weir__pace_mark *mark,
					     const struct weir__sample *sample)
{
	struct weir__pace_span span = {.calls = (double)(sample->number - mark->number) -
						(double)(pace->refused - mark->refused),
				       .time = seconds(sample->started - mark->at)};
	span.open = span.time;
	return span;
}

struct weir__pace_span weir__pace_since_mark(const struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_span span = weir__pace_span_since(pace, &pace->found.mark, sample);
	span.open = span.time - seconds(pace->found.lost);
	return span;
}

bool weir__pace_is_enough(const struct weir__pace_span *span)
{
	return span->calls >= CALLS_LEAST && span->open >= seconds(SPAN_LEAST);
}

double weir__pace_burst_of(const struct weir__pace_found *found, double rate)
{
	return most_of(0, found->run_calls - rate * found->run_seconds);
}

bool weir__pace_is_more_than_burst(const struct weir__pace_found *found, const struct weir__pace_span *span)
{
	double low = span->calls / most_of(span->time, 1e-6);
	return span->open >= span->time || span->calls >= weir__pace_burst_of(found, low) + CALLS_LEAST;
}

/* A server that shuts for longer than its bucket takes to fill loses tokens meanwhile: then
 * it is between what was let through in all the time and in that it was open, and a run that began with a full bucket,
 * too, tells where. */
double weir__pace_rate_of(const struct weir__pace_found *found, const struct weir__pace_span *span)
{
	double low = span->calls / most_of(span->time, 1e-6), high = span->calls / most_of(span->open, 1e-6);
	if (high <= 1.02 * low)
		return low;
	double more = span->calls - found->run_calls, longer = span->open - found->run_seconds;
	if (more >= CALLS_LEAST && longer > 0)
		return least_of(high, most_of(low, more / longer));
	/* The same number in more time: a quota, and nothing comes in before it starts anew. */
	if (span->open >= seconds(SPAN_LEAST) && longer > found->run_seconds && more < 0.1 * found->run_calls &&
	    more > -0.1 * found->run_calls)
		return low;
	return __builtin_sqrt(low * high);
}

double weir__pace_rate_of_trail(const struct weir__pace *pace, const struct weir__sample *sample, double least)
{
	const struct weir__pace_found *found = &pace->found;
	for (unsigned i = 0; i < WEIR__PACE_TRAIL && i < found->points; i++) {
		if (sample->number <= found->trail[i].number)
			continue;
		struct weir__pace_span span = weir__pace_span_since(pace, &found->trail[i], sample);
		if (span.time >= seconds(SPAN_LEAST) / 2 && span.calls >= 5)
			least = most_of(least, (span.calls + 0.5 - found->burst) / span.time);
	}
	return least;
}
