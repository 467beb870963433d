/* SPDX-License-Identifier: MIT */
/*
 * Finding a server's rate by its refusals.
 *
 * Between two refusals a bucket was emptied, filled at the server's rate and emptied again, so what was let through in
 * the meantime is that rate times the time, whatever the burst, the latency and the pattern of calls.  A fixed window
 * says the same from the first refusal in one window to the first in the next.
 *
 *     FREE --refused--> SEARCH --again, after enough to count--> HOLD --> CLIMB --all as expected--> HOLD
 *                         ^                                        |        |
 *                         '----- refused at once, or too often ----'        '--more than expected--> RISE -> SEARCH
 *
 * The number of tokens in the bucket is therefore known since the last refusal, up to the burst.  A climb is so much
 * over the estimate that it uses up what HOLD has saved; a refusal before that or then is what the estimate says, and
 * going on beyond proves that the server lets more through.  How often it climbs depends on what a refusal costs: the
 * calls that are refused until the first of them is known, and the time that the server shuts for.
 *
 * All calls that were sent before a refusal was known are one flight, and are reacted to once; but those of them that
 * were let in and those that were not tell the rate, too, if it was a long flight.
 *
 * A limit on how many are under way at once also answers 429, and no rate helps: pace_trial.c.  A fixed window lets in
 * nothing for long, and then everything: pace_window.c.  A bucket of one token saves nothing: pace_tight.c.
 */
#include "policy/pace.h"
#include "policy/reckon.h"

#define PAUSE_LEAST (5 * WEIR_MSEC)
#define CLIMB_FIRST 0.2 /* when it is not sure of the estimate yet */
#define FELT        3   /* times as fast as calls go out it may rise */

/* ---- a refusal that is news */

static void pause(struct weir__pace *pace, weir_nsec now)
{
	const struct weir__pace_found *found = &pace->found;
	weir_nsec wait = PAUSE_LEAST << (found->vain < 10 ? found->vain : 10);
	if (found->phase == WEIR__PACE_SEARCH) /* it may be a window: its end is to be known */
		wait = weir__pace_probe_after(pace);
	if (now + wait > pace->shut)
		pace->shut = now + wait;
}

/* A guess to begin with: a little less than went out. */
static void first_refusal(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_found *found = &pace->found;
	double latency = most_of(found->latency, (double)found->delay);
	found->first_flight = pace->sent;
	found->run_seconds = seconds(sample->ended - found->begun);
	weir__pace_search(pace, 0.8 * (double)sample->in_flight * 1e9 / most_of(1, latency), sample->ended);
}

/* Another guess: what the span says, if it says something.  When nothing at all is let through time will help, when
 * next to nothing is a lower rate. */
static void guess(struct weir__pace *pace, const struct weir__sample *sample, const struct weir__pace_span *span)
{
	struct weir__pace_found *found = &pace->found;
	double one_by_one = 0.7 / most_of(1e-6, seconds(found->delay));
	double rate = least_of(one_by_one, found->vain ? found->rate : found->rate / 1.5);
	if (span->calls >= 5)
		rate = least_of(0.9 * weir__pace_rate_of(found, span),
				found->phase == WEIR__PACE_SEARCH ? 1e9 : 0.7 * found->rate);
	weir__pace_search(pace, rate, sample->ended);
}

static void refused_in_search(struct weir__pace *pace, const struct weir__sample *sample,
			      const struct weir__pace_span *span)
{
	struct weir__pace_found *found = &pace->found;
	if (!weir__pace_is_enough(span) || !weir__pace_is_more_than_burst(found, span)) {
		guess(pace, sample, span);
	} else if (!found->overflowed && span->open >= span->time && found->slowest < 0.85 * span->calls / span->time) {
		/* It was that slow for a while that the bucket overflowed.  But now the rate is near. */
		weir__pace_search(pace, 0.85 * found->rate, sample->ended);
		found->overflowed = true;
		found->marked = false;
	} else {
		found->estimate = weir__pace_rate_of(found, span);
		if (!found->knows_burst)
			found->burst = weir__pace_burst_of(found, found->estimate);
		found->knows_burst = true;
		if (span->open >= span->time)
			found->estimate = least_of(1.3 * found->estimate,
						   weir__pace_rate_of_trail(pace, sample, found->estimate));
		weir__pace_hold(pace, sample->ended);
	}
}

/* What it held to was not too much for the burst, but for the rate: so the climb before tells the burst. */
static void learn_burst(struct weir__pace_found *found)
{
	double calls = found->climb_calls, time = found->climb_seconds;
	if (calls - found->estimate * time <= found->burst)
		return;
	found->burst = calls - found->estimate * time;
	found->run_calls = calls;
	found->run_seconds = time;
}

static void refused_in_hold(struct weir__pace *pace, const struct weir__sample *sample,
			    const struct weir__pace_span *span)
{
	struct weir__pace_found *found = &pace->found;
	if (!weir__pace_is_enough(span)) {
		if (found->vain || found->soon++ < 2)
			weir__pace_cushion(pace, sample->ended);
		else
			guess(pace, sample, span);
		return;
	}
	if (found->rate <= 1.01 * found->proven)
		found->proven = 0; /* no more */
	double before = found->estimate;
	found->estimate = least_of(0.99 * before, most_of(found->proven, weir__pace_rate_of(found, span)));
	found->sure = 0;
	if (found->estimate > 0.85 * before) /* else the limit has changed, and says nothing of the burst */
		learn_burst(found);
	weir__pace_hold(pace, sample->ended);
}

static void refused_in_climb(struct weir__pace *pace, const struct weir__sample *sample,
			     const struct weir__pace_span *span)
{
	struct weir__pace_found *found = &pace->found;
	double low = weir__pace_is_enough(span) ? span->calls / span->time : 0, before = found->estimate;
	struct weir__pace_span climb =
		weir__pace_span_since(pace, &found->trail[(found->points - 1) % WEIR__PACE_TRAIL], sample);
	found->climb_calls = climb.calls;
	found->climb_seconds = climb.time;
	found->estimate = most_of(low, before);
	if (found->phase == WEIR__PACE_RISE)
		found->estimate = weir__pace_rate_of_trail(pace, sample, found->estimate);
	else if (found->cost && found->burst > 0) /* it is dear to find that out otherwise */
		found->estimate = most_of(found->estimate,
					  least_of(1.05 * before, weir__pace_rate_of_trail(pace, sample, before)));
	if (found->phase == WEIR__PACE_RISE) {
		double last = found->rate / (1 + found->step), most = 1.15 * found->before_rise;
		if (found->cost) /* another try would be dear: in the middle */
			most = __builtin_sqrt(found->before_rise * most_of(last, found->before_rise));
		found->estimate = most_of(found->estimate, least_of(most, last));
	}
	found->sure = found->phase == WEIR__PACE_CLIMB && found->estimate < 1.03 * before ? found->sure + 1 : 0;
	weir__pace_hold(pace, sample->ended);
}

/* All calls of the first flight have come back: so many of them were let in. */
static void end_first_flight(struct weir__pace *pace)
{
	struct weir__pace_found *found = &pace->found;
	if (!found->first_flight)
		return;
	found->run_calls = (double)found->first_flight - (double)(pace->refused - 1);
	found->first_flight = 0;
}

static void react(struct weir__pace *pace, const struct weir__sample *sample, const struct weir__pace_span *span)
{
	struct weir__pace_found *found = &pace->found;
	switch (found->phase) {
	case WEIR__PACE_FREE:
		first_refusal(pace, sample);
		break;
	case WEIR__PACE_SEARCH:
		refused_in_search(pace, sample, span);
		break;
	case WEIR__PACE_HOLD:
		refused_in_hold(pace, sample, span);
		break;
	case WEIR__PACE_TRIAL:
		if (weir__pace_refused_in_trial(pace, sample))
			refused_in_search(pace, sample, span);
		break;
	case WEIR__PACE_CLIMB:
	case WEIR__PACE_RISE:
		refused_in_climb(pace, sample, span);
		break;
	case WEIR__PACE_TIGHT:
	case WEIR__PACE_WINDOW:
		break;
	}
}

/* One more of a flight that was reacted to.  A long one tells the rate by itself. */
static void refused_in_flight(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_found *found = &pace->found;
	if (sample->number <= found->flight_mark.number || found->phase == WEIR__PACE_TRIAL)
		return;
	struct weir__pace_span span = weir__pace_span_since(pace, &found->flight_mark, sample);
	if (!weir__pace_is_enough(&span) || span.calls < 1.5 * found->flight_calls)
		return;
	double rate = span.calls / span.time, off = rate / found->estimate - 1;
	double noise = most_of(0.05, 2 / __builtin_sqrt(span.calls));
	if (found->phase != WEIR__PACE_SEARCH && !found->flight_calls && off < noise && off > -noise)
		return;
	found->flight_calls = span.calls;
	found->estimate = rate;
	found->sure = 0;
	weir__pace_hold(pace, sample->ended);
}

/* Whether nothing was let through since the last reaction.  Of calls that take long it is not known yet. */
static bool is_vain(const struct weir__pace_found *found, const struct weir__pace_span *span)
{
	if (found->let_in)
		return false;
	return found->latency < 3 * (double)found->delay || span->calls < found->calls + 1;
}

void weir__pace_refused(struct weir__pace *pace, const struct weir__sample *sample, weir_nsec after)
{
	struct weir__pace_found *found = &pace->found;
	weir_nsec delay = sample->ended - sample->started;
	found->delay += (delay - found->delay) / (found->delay ? 4 : 1);
	if (found->phase == WEIR__PACE_TIGHT) {
		weir__pace_tight_refused(pace, sample);
		return;
	}
	pace->refused++;
	weir__pace_number_note(pace, sample);
	if (pace->number.most)
		weir__pace_number_refused(pace, sample);
	if (found->blames) {
		weir__pace_doubt(pace, sample);
		return;
	}
	if (weir__pace_window_refused(pace, sample, after))
		return;
	if (found->marked && sample->number <= found->flight) {
		refused_in_flight(pace, sample);
		return;
	}
	end_first_flight(pace);
	if (!after && weir__pace_is_tight(pace)) {
		weir__pace_tighten(pace, sample->ended);
		return;
	}
	struct weir__pace_span span = found->marked ? weir__pace_since_mark(pace, sample) : (struct weir__pace_span){0};
	found->vain = found->marked && is_vain(found, &span) ? found->vain + 1 : 0;
	found->calls = span.calls;
	found->flight_calls = 0;
	enum weir__pace_phase before = found->phase;
	bool is_shut = after > 0;
	if (!weir__pace_suspect(pace, sample, &span))
		react(pace, sample, &span);
	/* While it searches, the longer the span the better. */
	if (found->goes_on)
		found->burst = 0;
	found->goes_on = false;
	found->flight_mark =
		(struct weir__pace_mark){.at = sample->started, .number = sample->number, .refused = pace->refused};
	if (!found->marked || is_shut || before != WEIR__PACE_SEARCH || found->phase != WEIR__PACE_SEARCH) {
		found->mark = found->flight_mark;
		found->slowest = found->rate;
		found->marked = true;
		found->calls = 0;
		found->lost = 0;
	}
	if (!is_shut && (found->vain || found->phase == WEIR__PACE_SEARCH))
		pause(pace, sample->ended);
	found->cost = is_shut && pace->shut > sample->ended ? pace->shut - sample->ended : 0;
	found->lost += found->cost;
	found->points = 1;
	found->trail[0] = (struct weir__pace_mark){sample->ended + found->cost, pace->sent, pace->refused};
	found->flight = pace->sent;
	found->let_in = 0;
}

void weir__pace_let_in(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_found *found = &pace->found;
	double latency = (double)(sample->ended - sample->started);
	found->latency += (latency - found->latency) / (found->latency > 0 ? 16 : 1);
	/* No refusal takes longer than a call that is let in, but one of a server in trouble. */
	if (latency < (double)found->delay)
		found->delay -= (weir_nsec)(((double)found->delay - latency) / 2);
	found->let_in += sample->number > found->flight;
	weir__pace_number_note(pace, sample);
	if (found->blames)
		weir__pace_number_let_in(pace, sample);
	else if (found->phase == WEIR__PACE_TRIAL)
		weir__pace_let_in_trial(pace, sample);
	else if (found->phase == WEIR__PACE_TIGHT)
		weir__pace_tight_let_in(pace, sample);
	else
		weir__pace_window_let_in(pace, sample);
}

/* ---- time */

/* More than the estimate allows was let through since the last refusal: by so many calls. */
static double beyond(const struct weir__pace *pace, weir_nsec now)
{
	const struct weir__pace_found *found = &pace->found;
	double calls = (double)(pace->sent - found->mark.number) - (double)(pace->refused - found->mark.refused);
	double open = seconds(now - found->mark.at - found->lost + found->delay), lost = seconds(found->lost);
	return calls - found->estimate * open - least_of(found->estimate * lost, found->burst);
}

/* By so much over the estimate: the surer it is of that, the less. */
static double climb_factor(const struct weir__pace_found *found)
{
	if (found->sure >= 3)
		return 1 + WEIR__PACE_CLIMB_BY;
	/* Many are refused of a long flight. */
	return 1 + most_of(WEIR__PACE_CLIMB_BY,
			   CLIMB_FIRST / (double)(1u << found->sure) / (1 + 10 * seconds(found->delay)));
}

/* Whether it is the rate that holds calls back.  They go out a little slower than it allows while it grows. */
static bool is_felt(const struct weir__pace *pace)
{
	return pace->recent <= 0 || pace->found.rate <= FELT * pace->recent;
}

static void climb_on(struct weir__pace *pace, weir_nsec now)
{
	struct weir__pace_found *found = &pace->found;
	double slack = 2 + 0.01 * found->estimate * most_of(1, 2 * seconds(found->delay));
	if (beyond(pace, now) <= slack)
		return;
	found->step = 0.06;
	found->proven = found->rate;
	found->before_rise = found->estimate;
	weir__pace_enter(pace, WEIR__PACE_RISE, found->rate, 0, now);
}

static void rise_on(struct weir__pace *pace, weir_nsec now)
{
	struct weir__pace_found *found = &pace->found;
	double proven = found->estimate + beyond(pace, now) / most_of(1e-3, seconds(now - found->mark.at));
	double rate = found->rate * (1 + found->step);
	if (!is_felt(pace))
		return;
	found->step = least_of(0.5, 2 * found->step);
	found->estimate = most_of(found->estimate, proven);
	weir__pace_enter(pace, WEIR__PACE_RISE, rate, weir__pace_step_time(found, 0.1), now);
}

/* With the snapshot of an earlier run. */
static void go_on(struct weir__pace *pace, weir_nsec now)
{
	struct weir__pace_found *found = &pace->found;
	weir_nsec at = pace->at;
	found->marked = found->goes_on = true;
	found->mark = (struct weir__pace_mark){.at = now - WEIR_SEC, .number = pace->sent};
	found->lost = WEIR_SEC;
	found->burst = found->estimate / 5; /* or what a full bucket lets through would be taken for the rate */
	found->sure = 3;
	weir__pace_hold(pace, now);
	pace->at = at; /* the bucket is full */
}

void weir__pace_advance(struct weir__pace *pace, weir_nsec now)
{
	struct weir__pace_found *found = &pace->found;
	if (!found->begun) {
		found->begun = now > 0 ? now : 1;
		pace->window.begin = (struct weir__pace_end){.lo = now, .hi = now, .number = pace->sent};
		if (found->phase == WEIR__PACE_HOLD)
			go_on(pace, now);
	}
	if (found->phase == WEIR__PACE_WINDOW) {
		weir__pace_spread(pace, now);
		return;
	}
	if (found->phase == WEIR__PACE_FREE || found->phase == WEIR__PACE_TRIAL || found->phase == WEIR__PACE_TIGHT ||
	    now < found->step_at || now < pace->shut)
		return;
	switch (found->phase) {
	case WEIR__PACE_SEARCH:
		if (is_felt(pace))
			weir__pace_search_on(pace, now);
		return;
	case WEIR__PACE_HOLD:
		found->proven = most_of(found->proven, found->rate);
		if (found->sure >= 6)
			found->strikes = 0;
		weir__pace_enter(pace, WEIR__PACE_CLIMB, found->estimate * climb_factor(found), 0, now);
		return;
	case WEIR__PACE_CLIMB:
		climb_on(pace, now);
		return;
	default:
		rise_on(pace, now);
	}
}
