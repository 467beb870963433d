/* SPDX-License-Identifier: MIT */
/*
 * The number at once that a server lets in, where that is what calls are refused for (pace_trial.c).
 *
 * When it comes as news that a call was refused, there is a flight of calls under way.  In the end so many of them were
 * refused, and the others are the number that was let in at once, in whichever order they came there.  So each refused
 * call takes its place with it, and however far a limit falls, not many more are refused than it falls by.  Upwards it
 * is tried: one more at once, and if a whole turn of calls is let in, two more, four, eight.  How often that begins
 * depends on the cost: one call in a thousand may be refused for it, a hundredth of the time may be spent shut.
 */
#include "policy/pace.h"
#include "policy/reckon.h"

enum { CALLS_EACH = 1000, REST_MOST = 5000, COST_EACH = 100 };

#define PATIENCE_MOST (60 * WEIR_SEC)

/* What is let in from here on tells of the number as it is now. */
static void begin_turn(struct weir__pace *pace)
{
	struct weir__pace_number *number = &pace->number;
	number->sent = pace->sent;
	number->calls = 0;
	number->reached = false;
}

/* After a probe the more the dearer it was.  A limit that fell may rise again soon. */
static void put_off_probe(struct weir__pace *pace, bool was_probe, weir_nsec now)
{
	struct weir__pace_number *number = &pace->number;
	uint64_t rest = was_probe ? number->rest + CALLS_EACH : CALLS_EACH;
	number->step = 1;
	if (number->rest < rest)
		number->rest = rest < REST_MOST ? rest : REST_MOST;
	number->soonest = pace->shut > now ? now + COST_EACH * (pace->shut - now) : now;
	number->latest = now + PATIENCE_MOST;
}

/* More is tried at once: then it is known whether it really is the number. */
void weir__pace_number_begin(struct weir__pace *pace, size_t most)
{
	pace->number = (struct weir__pace_number){.most = most, .fine = most, .goal = most, .step = 1, .falls = 1};
	begin_turn(pace);
}

/* Of calls that were sent after the first that was refused it is not known how many of those before them were there. */
static void begin_flight(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_flight *flight = &pace->flight;
	double latency = pace->found.latency;
	bool goes_on = flight->back + flight->refused < flight->calls &&
		       (latency <= 0 || (double)(sample->ended - flight->at) < 10 * latency);
	/* This one, too, has ended. */
	uint64_t calls = pace->sent >= pace->ended ? pace->sent - pace->ended + 1 : 0;
	flight->at = sample->ended;
	flight->first = goes_on ? flight->first : sample->number;
	flight->last = pace->sent;
	flight->calls = calls > sample->in_flight ? (size_t)calls : sample->in_flight;
	flight->refused = flight->back = 0;
}

static void note_refused(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_flight *flight = &pace->flight;
	struct weir__pace_found *found = &pace->found;
	if (sample->number > flight->last) {
		begin_flight(pace, sample);
		if (!found->news++)
			found->first_out = sample->ended;
		if (!found->least_out || flight->calls < found->least_out)
			found->least_out = flight->calls;
	}
	flight->refused++;
	if (sample->number < flight->first)
		flight->first = sample->number;
}

void weir__pace_number_note(struct weir__pace *pace, const struct weir__sample *sample)
{
	const struct weir__pace_flight *flight = &pace->flight;
	bool is_clear = (sample->number < flight->first || sample->number > flight->last) &&
			sample->number > pace->found.evidence_from;
	if (sample->outcome == WEIR_OUTCOME_THROTTLED) {
		note_refused(pace, sample);
		return;
	}
	pace->flight.back += sample->number <= pace->flight.last;
	pace->found.back += sample->number > pace->found.evidence_from;
	if (sample->outcome == WEIR_OUTCOME_GOOD && is_clear && sample->in_flight > pace->found.most_in)
		pace->found.most_in = sample->in_flight;
}

void weir__pace_number_refused(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_number *number = &pace->number;
	const struct weir__pace_flight *flight = &pace->flight;
	size_t let_in = flight->calls > flight->refused ? flight->calls - flight->refused : 1;
	put_off_probe(pace, let_in >= number->fine, sample->ended);
	if (let_in >= number->most)
		return;
	number->most = number->goal = let_in;
	begin_turn(pace);
}

static void probe(struct weir__pace *pace)
{
	struct weir__pace_number *number = &pace->number;
	number->goal = number->most + number->step;
	number->step *= 2;
}

void weir__pace_number_let_in(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_number *number = &pace->number;
	number->rest -= number->rest > 0;
	/* Not all at once, as a burst would. */
	if (number->most < number->goal) {
		number->most++;
		begin_turn(pace);
		return;
	}
	if (sample->number <= number->sent)
		return;
	number->calls++;
	number->reached |= sample->in_flight >= number->most;
	if (!number->reached || number->calls < number->most)
		return;
	number->fine = number->most;
	number->turns++;
	if (sample->ended >= number->soonest && (!number->rest || sample->ended >= number->latest))
		probe(pace);
	else
		begin_turn(pace);
}
