/* SPDX-License-Identifier: MIT */
/*
 * The number at once that a server lets in, where that is what calls are refused for (pace_trial.c).
 *
 * When it comes as news that a call was refused, there is a flight of calls under way.  In the end so many of them were
 * refused, and the others are the number that was let in at once, in whichever order they came there.  So each refused
 * call takes its place with it, and however far a limit falls, not many more are refused than it falls by.  Upwards it
 * is tried: one more at once, and if a whole turn of calls is let in, two more, four, eight.  How often that begins
 * depends on the cost: one call in a thousand may be refused for it, a hundredth of the time may be spent shut.
 *
 * When it falls again and again, and far, it may be about the rate after all, and is judged anew.
 */
#include "policy/pace.h"
#include "policy/reckon.h"

enum { CALLS_EACH = 1000, REST_MOST = 5000, COST_EACH = 100, FALLS = 4 };

#define PATIENCE_MOST (60 * WEIR_SEC)

/* What is let in from here on tells of the number as it is now. */
static void begin_turn(struct weir_pace *pace)
{
	struct weir__pace_number *number = &pace->number;
	number->sent = pace->sent;
	number->calls = 0;
	number->reached = false;
}

static void put_off_probe(struct weir_pace *pace, weir_nsec now)
{
	struct weir__pace_number *number = &pace->number;
	number->step = 1;
	number->rest = number->rest + CALLS_EACH < REST_MOST ? number->rest + CALLS_EACH : REST_MOST;
	number->soonest = pace->shut > now ? now + COST_EACH * (pace->shut - now) : now;
	number->latest = now + PATIENCE_MOST;
}

void weir__pace_number_begin(struct weir_pace *pace, size_t most, weir_nsec now)
{
	pace->number = (struct weir__pace_number){.most = most, .fine = most, .goal = most};
	begin_turn(pace);
	put_off_probe(pace, now);
}

static void note_refused(struct weir_pace *pace, const struct weir_sample *sample)
{
	struct weir__pace_flight *flight = &pace->flight;
	struct weir__pace_found *found = &pace->found;
	if (sample->number > flight->last) {
		/* This one, too, has ended. */
		uint64_t calls = pace->sent >= pace->ended ? pace->sent - pace->ended + 1 : 0;
		*flight = (struct weir__pace_flight){.first = sample->number, .last = pace->sent};
		flight->calls = calls > sample->in_flight ? (size_t)calls : sample->in_flight;
		if (!found->news++)
			found->first_out = sample->ended;
		if (!found->least_out || flight->calls < found->least_out)
			found->least_out = flight->calls;
	}
	flight->refused++;
	if (sample->number < flight->first)
		flight->first = sample->number;
}

void weir__pace_number_note(struct weir_pace *pace, const struct weir_sample *sample)
{
	const struct weir__pace_flight *flight = &pace->flight;
	size_t together = sample->in_flight;
	if (sample->outcome == WEIR_OUTCOME_THROTTLED) {
		note_refused(pace, sample);
		return;
	}
	if (sample->outcome != WEIR_OUTCOME_GOOD)
		return;
	if (sample->number > flight->first && sample->number <= flight->last)
		together -= flight->refused < together ? flight->refused : together;
	if (together > pace->found.most_in)
		pace->found.most_in = together;
}

void weir__pace_number_refused(struct weir_pace *pace, const struct weir_sample *sample)
{
	struct weir__pace_number *number = &pace->number;
	const struct weir__pace_flight *flight = &pace->flight;
	size_t let_in = flight->calls > flight->refused ? flight->calls - flight->refused : 1;
	put_off_probe(pace, sample->ended);
	if (let_in >= number->most)
		return;
	number->most = number->goal = let_in;
	begin_turn(pace);
	bool falls = 4 * let_in <= 3 * number->fine;
	number->falls += falls && !number->falling;
	number->falling = falls;
}

bool weir__pace_number_is_doubtful(const struct weir_pace *pace)
{
	return pace->flight.calls < 2 || pace->number.falls >= FALLS;
}

static void probe(struct weir_pace *pace)
{
	struct weir__pace_number *number = &pace->number;
	number->goal = number->most + number->step;
	number->step *= 2;
}

void weir__pace_number_let_in(struct weir_pace *pace, const struct weir_sample *sample)
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
	number->falling = false;
	if (sample->ended >= number->soonest && (!number->rest || sample->ended >= number->latest))
		probe(pace);
	else
		begin_turn(pace);
}
