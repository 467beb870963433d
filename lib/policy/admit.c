/* SPDX-License-Identifier: MIT */
/*
 * Admission: five questions, and the latest answer counts.
 *
 *     paused?  breaker?  shut?  too many at once?  one's own rate?  the server's?
 *
 * What holds back is told in that order, because whoever wants to help must begin there: a higher rate is of no use
 * while the server is shut.
 *
 * Failures and throttled calls go to all who may want to know.  For the breaker a throttled call is none: "come back
 * later" comes from a server that is well.  Limits and rate take a denied call for a good one.  Of the two limits on
 * the number at once, the one by latency and the one that the pace finds where a server answers 429 to the 51st, the
 * lower counts.
 */
#include "policy/admit.h"

#include "base/contract.h"
#include "policy/adapt_law.h"
#include "policy/history.h"
#include "policy/lateness.h"
#include "policy/pace.h"

#include <stdlib.h>

struct weir__admit {
	size_t concurrency; /* 0: found */
	size_t in_flight;
	bool paused, has_rate, unpaced;
	weir_nsec pause_from; /* WEIR_FOREVER: never */
	struct weir__adapt *adapt;
	struct weir__adapt_options adapt_options;
	struct weir__pace *pace;
	struct weir_rate rate; /* one's own */
	weir_nsec promised;    /* when it alone will let the next one in; 0: there is more to wait for */
	bool keeps_rate;       /* it is let through as far as it is granted */
	bool wants_rate;       /* and that is not enough for the next call */
	weir_nsec granted;
	struct weir__lateness lateness;
	struct weir_breaker *breaker; /* NULL: none */
	struct weir__witness witness;
	uint64_t ended[WEIR_OUTCOMES];
	weir_nsec well_at; /* the last good call ended, or else the first began */
	weir_nsec word;    /* until when the server said to stay away */
	enum weir_outcome last;
};

static int make_adapt(struct weir__admit *admit, const struct weir__gate_options *opts)
{
	struct weir__adapt_options adapt = opts->adapt;
	adapt.seed = adapt.seed ? adapt.seed : opts->seed;
	adapt.snapshot = opts->snapshot.limit;
	adapt.min_latency = opts->snapshot.min_latency;
	admit->adapt_options = adapt;
	return weir__adapt_new(&adapt, &admit->adapt);
}

static int make_pace(struct weir__admit *admit, const struct weir__gate_options *opts)
{
	admit->unpaced = opts->flags & WEIR_GATE_UNPACED;
	struct weir__pace_options pace = {.per_sec = opts->snapshot.per_sec,
					  .longest = opts->longest,
					  .unpaced = admit->unpaced,
					  .seed = opts->seed};
	return weir__pace_new(&pace, &admit->pace);
}

static int make_breaker(struct weir__admit *admit, const struct weir__gate_options *opts)
{
	struct weir_breaker_options breaker = opts->breaker;
	if (opts->flags & WEIR_GATE_NO_BREAKER)
		return 0;
	breaker.seed = breaker.seed ? breaker.seed : opts->seed;
	return weir_breaker_new(&breaker, &admit->breaker);
}

int weir__admit_new(const struct weir__gate_options *opts, struct weir__admit **ret_admit)
{
	struct weir__admit *admit = calloc(1, sizeof *admit);
	if (!admit)
		return WEIR_ENOMEM;
	admit->concurrency = opts->concurrency;
	admit->pause_from = WEIR_FOREVER;
	int code = make_adapt(admit, opts);
	if (!code)
		code = make_pace(admit, opts);
	if (!code)
		code = make_breaker(admit, opts);
	if (!code)
		code = weir__admit_set_rate(admit, &opts->rate, 0);
	if (code) {
		weir__admit_free(admit);
		return code;
	}
	*ret_admit = admit;
	return 0;
}

void weir__admit_free(struct weir__admit *admit)
{
	if (!admit)
		return;
	weir__adapt_free(admit->adapt);
	weir__pace_free(admit->pace);
	weir_breaker_free(admit->breaker);
	weir_rate_fini(&admit->rate);
	free(admit);
}

/* One's own number at once is no reason to send more than the server takes. */
static size_t limit_of(const struct weir__admit *admit)
{
	size_t limit = admit->concurrency ? admit->concurrency : weir__adapt_limit(admit->adapt);
	size_t concurrency = weir__pace_concurrency(admit->pace);
	return concurrency && concurrency < limit ? concurrency : limit;
}

/* Notes that `what` holds back until `at`, unless something of more weight was noted before. */
static void hold(weir_nsec at, enum weir_held_by what, weir_nsec now, weir_nsec *until, enum weir_held_by *held_by)
{
	if (at <= now && at != WEIR_FOREVER)
		return;
	if (*held_by == WEIR_HELD_BY_NOTHING)
		*held_by = what;
	if (at == WEIR_FOREVER || *until == WEIR_FOREVER)
		*until = WEIR_FOREVER;
	else if (at > *until)
		*until = at;
}

/* When one's own rate lets the next one in, as of then. */
static weir_nsec own_next(const struct weir__admit *admit, weir_nsec now)
{
	weir_nsec since = admit->promised && admit->promised < now ? admit->promised : now;
	weir_nsec from = weir__late_from(&admit->lateness, &admit->rate.options, 1, since, now);
	return weir_rate_next(&admit->rate, 1, from);
}

/* Whether what has passed would be more than is granted, when the next one has, too. */
static bool lacks_grant(const struct weir__admit *admit, weir_nsec own)
{
	return admit->keeps_rate && own != WEIR_FOREVER && weir_rate_paid_after(&admit->rate, 1, own) > admit->granted;
}

/* The longer of the two rates is what is told. */
static void hold_rates(const struct weir__admit *admit, weir_nsec now, weir_nsec *until, enum weir_held_by *held_by)
{
	weir_nsec own = admit->has_rate ? own_next(admit, now) : now;
	weir_nsec theirs = weir__pace_next(admit->pace, now);
	if (admit->has_rate && lacks_grant(admit, own))
		own = WEIR_FOREVER;
	if (own != WEIR_FOREVER && theirs > own)
		hold(theirs, WEIR_HELD_BY_SERVER_RATE, now, until, held_by);
	hold(own, WEIR_HELD_BY_RATE, now, until, held_by);
}

static bool is_paused(const struct weir__admit *admit, weir_nsec now)
{
	return admit->paused || (admit->pause_from != WEIR_FOREVER && now >= admit->pause_from);
}

static weir_nsec ask(const struct weir__admit *admit, weir_nsec now, enum weir_held_by *held_by)
{
	weir_nsec until = now;
	*held_by = WEIR_HELD_BY_NOTHING;
	if (is_paused(admit, now))
		hold(WEIR_FOREVER, WEIR_HELD_BY_PAUSE, now, &until, held_by);
	if (admit->breaker)
		hold(weir_breaker_next(admit->breaker, now), WEIR_HELD_BY_BREAKER, now, &until, held_by);
	hold(weir__pace_shut_until(admit->pace, now), WEIR_HELD_BY_SHUT, now, &until, held_by);
	if (admit->in_flight >= limit_of(admit))
		hold(WEIR_FOREVER, WEIR_HELD_BY_CONCURRENCY, now, &until, held_by);
	hold_rates(admit, now, &until, held_by);
	return until;
}

weir_nsec weir__admit_ask(struct weir__admit *admit, weir_nsec now, enum weir_held_by *ret_held_by)
{
	enum weir_held_by held_by;
	weir_nsec until = ask(admit, now, &held_by);
	if (ret_held_by)
		*ret_held_by = held_by;
	if (held_by != WEIR_HELD_BY_NOTHING)
		admit->promised = held_by == WEIR_HELD_BY_RATE && until != WEIR_FOREVER ? until : 0;
	/* Whatever else holds it back: nobody asks again when only that is over. */
	admit->wants_rate = until == WEIR_FOREVER && admit->has_rate && lacks_grant(admit, own_next(admit, now));
	return until;
}

static void take_own(struct weir__admit *admit, weir_nsec now)
{
	weir_nsec at = own_next(admit, now);
	weir_rate_take(&admit->rate, 1, at);
	weir__late_went(&admit->lateness, at, now);
	admit->promised = 0;
}

void weir__admit_enter(struct weir__admit *admit, struct weir__pass *ret_pass, weir_nsec now)
{
	enum weir_held_by held_by;
	ask(admit, now, &held_by);
	weir__require(held_by == WEIR_HELD_BY_NOTHING, WEIR_HERE, "a call enters a gate that does not admit it");
	if (!admit->witness.calls)
		admit->well_at = now;
	struct weir__pass pass = {.entered = now, .in_flight = ++admit->in_flight, .number = ++admit->witness.calls};
	if (admit->breaker)
		weir__require(weir_breaker_allow(admit->breaker, now, &pass.permit) == 0, WEIR_HERE,
			      "a breaker refuses what it allowed");
	if (admit->has_rate)
		take_own(admit, now);
	weir__pace_sent(admit->pace, now);
	*ret_pass = pass;
}

/* The words in which the breaker is told of it, and the limits are. */
static void end_permit(struct weir__admit *admit, const struct weir__pass *pass, enum weir_outcome outcome,
		       weir_nsec now)
{
	struct weir_breaker_permit permit = pass->permit;
	permit.again = pass->history && weir__history_is_again(pass->history, outcome);
	permit.suspect = pass->history && weir__history_is_suspect(pass->history, outcome, &admit->witness);
	weir_breaker_end(admit->breaker, permit, outcome == WEIR_OUTCOME_THROTTLED ? WEIR_OUTCOME_RELEASED : outcome,
			 now - pass->entered, now);
}

static enum weir_outcome outcome_for_limits(const struct weir__pass *pass, enum weir_outcome outcome)
{
	bool throttled = outcome == WEIR_OUTCOME_THROTTLED;
	if (throttled && pass->history && weir__history_is_throttled_alone(pass->history))
		return WEIR_OUTCOME_RELEASED;
	return outcome == WEIR_OUTCOME_DENIED ? WEIR_OUTCOME_GOOD : outcome;
}

/* Whether it is a failure that no number at once would have changed. */
static bool is_of_suspect(const struct weir__pass *pass, enum weir_outcome outcome)
{
	return outcome_for_limits(pass, outcome) != WEIR_OUTCOME_GOOD && pass->history && pass->history->suspect;
}

/* What the job and the gate remember of it. */
static void remember(struct weir__admit *admit, const struct weir__pass *pass, enum weir_outcome outcome,
		     const struct weir_hint *hint, weir_nsec now)
{
	struct weir_history *history = pass->history;
	weir_nsec after = hint ? hint->retry_after : 0;
	switch (outcome) {
	case WEIR_OUTCOME_GOOD:
		admit->well_at = now;
		if (pass->number > admit->witness.good)
			admit->witness.good = pass->number;
		break;
	case WEIR_OUTCOME_FAILED:
	case WEIR_OUTCOME_TIMED_OUT:
	case WEIR_OUTCOME_ERROR:
	case WEIR_OUTCOME_DENIED:
		if (history)
			weir__history_ended(history, outcome, &admit->witness);
		break;
	case WEIR_OUTCOME_THROTTLED:
		if (history)
			weir__history_refused(history, &admit->witness, after, now);
		break;
	default:
		break;
	}
	after = after < WEIR__WORD_MOST ? after : WEIR__WORD_MOST;
	if (outcome == WEIR_OUTCOME_THROTTLED && now + after > admit->word)
		admit->word = now + after;
}

void weir__admit_leave(struct weir__admit *admit, const struct weir__pass *pass, enum weir_outcome outcome,
		       const struct weir_hint *hint, weir_nsec now)
{
	weir__require(admit->in_flight > 0, WEIR_HERE, "a call leaves a gate that it did not enter");
	weir__require((unsigned)outcome < WEIR_OUTCOMES, WEIR_HERE, "a call leaves a gate with an invalid outcome");
	admit->in_flight--;
	admit->ended[outcome]++;
	admit->last = outcome;
	if (admit->breaker)
		end_permit(admit, pass, outcome, now);
	remember(admit, pass, outcome, hint, now);
	struct weir__sample sample = {.started = pass->entered,
				      .ended = now,
				      .in_flight = pass->in_flight,
				      .number = pass->number,
				      .outcome = outcome_for_limits(pass, outcome)};
	weir__pace_add(admit->pace, &sample, sample.outcome == WEIR_OUTCOME_RELEASED ? NULL : hint);
	if (outcome != WEIR_OUTCOME_RELEASED && !is_of_suspect(pass, outcome))
		weir__adapt_add(admit->adapt, &sample);
}

enum weir_breaker_state weir__admit_breaker(const struct weir__admit *admit, weir_nsec now)
{
	return admit->breaker ? weir_breaker_state(admit->breaker, now) : WEIR_BREAKER_CLOSED;
}

bool weir__admit_is_out(const struct weir__admit *admit, weir_nsec now)
{
	struct weir_breaker_stats breaker;
	if (weir__admit_breaker(admit, now) == WEIR_BREAKER_CLOSED)
		return false;
	weir_breaker_stats(admit->breaker, now, &breaker);
	return breaker.denied_of || now - admit->well_at < WEIR__OUTAGE_MOST;
}

bool weir__admit_honours(const struct weir__admit *admit, const struct weir__pass *pass, weir_nsec now)
{
	return !is_paused(admit, now) && admit->pace->shut <= now &&
	       (!admit->breaker || weir__breaker_honours(admit->breaker, pass->permit, now));
}

weir_nsec weir__admit_shut_until(const struct weir__admit *admit, weir_nsec now)
{
	weir_nsec shut = weir__pace_shut_until(admit->pace, now);
	weir_nsec breaker = now;
	/* Half-open ends when a probe leaves. */
	if (admit->breaker && weir_breaker_state(admit->breaker, now) == WEIR_BREAKER_OPEN)
		breaker = weir_breaker_next(admit->breaker, now);
	if (is_paused(admit, now))
		return WEIR_FOREVER;
	if (breaker > now && breaker > shut)
		return breaker;
	return shut;
}

weir_nsec weir__admit_knock(struct weir__admit *admit, struct weir_history *history, weir_nsec now)
{
	weir_nsec until = weir__admit_shut_until(admit, now);
	if (history->failed && admit->breaker && until != WEIR_FOREVER) {
		weir_nsec fresh = weir__breaker_fresh_until(admit->breaker, now);
		until = fresh > now && fresh > until ? fresh : until;
	}
	if (until)
		weir__history_knock(history, &admit->witness);
	return until;
}

int weir__admit_set_concurrency(struct weir__admit *admit, size_t concurrency)
{
	admit->concurrency = concurrency;
	return 0;
}

int weir__admit_set_rate(struct weir__admit *admit, const struct weir_rate_options *rate, weir_nsec now)
{
	struct weir_rate made = {0};
	admit->promised = 0;
	admit->lateness = (struct weir__lateness){0};
	if (rate->count && admit->has_rate && rate->kind == admit->rate.options.kind)
		return weir_rate_set(&admit->rate, rate, now);
	int code = rate->count ? weir_rate_init(&made, rate) : 0;
	if (code)
		return code;
	weir_rate_fini(&admit->rate);
	admit->rate = made;
	admit->has_rate = rate->count > 0;
	return 0;
}

static int adapt_from(struct weir__admit *admit, size_t concurrency)
{
	struct weir__adapt_options adapt = admit->adapt_options;
	struct weir__adapt *made;
	adapt.snapshot = (double)(concurrency ? concurrency : WEIR__ADAPT_MOST);
	adapt.min_latency = weir__adapt_min_latency(admit->adapt);
	int code = weir__adapt_new(&adapt, &made);
	if (code)
		return code;
	weir__adapt_free(admit->adapt);
	admit->adapt = made;
	return 0;
}

/* One that is shut, or has met a limit, knows more than we do. */
static void pace_from(struct weir__admit *admit, double per_sec, weir_nsec now)
{
	struct weir__pace *pace = admit->pace;
	if (per_sec > 0 && !admit->unpaced && weir__pace_per_sec(pace) <= 0 && !weir__pace_concurrency(pace) &&
	    !weir__pace_shut_until(pace, now))
		weir__pace_go_on_from(pace, per_sec);
}

int weir__admit_go_on_from(struct weir__admit *admit, size_t concurrency, double per_sec, weir_nsec now)
{
	int code = concurrency == weir__adapt_limit(admit->adapt) ? 0 : adapt_from(admit, concurrency);
	if (!code)
		pace_from(admit, per_sec, now);
	return code;
}

void weir__admit_keep_rate(struct weir__admit *admit, weir_nsec paid, weir_nsec now)
{
	admit->keeps_rate = true;
	if (admit->has_rate)
		weir_rate_owe(&admit->rate, paid, now);
}

void weir__admit_grant(struct weir__admit *admit, weir_nsec paid)
{
	if (paid > admit->granted)
		admit->granted = paid;
	admit->wants_rate = false;
}

bool weir__admit_wants_rate(const struct weir__admit *admit)
{
	return admit->wants_rate;
}

void weir__admit_shut(struct weir__admit *admit, weir_nsec until, weir_nsec now)
{
	weir__pace_ask(admit->pace, until, now);
}

void weir__admit_share(struct weir__admit *admit, unsigned callers)
{
	admit->pace->callers = callers ? callers : 1;
}

void weir__admit_pause(struct weir__admit *admit, bool paused)
{
	admit->paused = paused;
}

void weir__admit_pause_from(struct weir__admit *admit, weir_nsec at)
{
	admit->pause_from = at;
}

/* Where the number that is let in is lower, latency has not been asked. */
static double snapshot_limit(const struct weir__admit *admit)
{
	double by_latency = weir__adapt_snapshot(admit->adapt);
	size_t concurrency = weir__pace_concurrency(admit->pace);
	return concurrency && concurrency < weir__adapt_limit(admit->adapt) ? (double)concurrency : by_latency;
}

/* The lower of the two rates, of which 0 is none. */
static double lower_rate(const struct weir__admit *admit)
{
	const struct weir_rate_options *own = &admit->rate.options;
	double theirs = weir__pace_per_sec(admit->pace);
	double ours = admit->has_rate ? (double)own->count * 1e9 / (double)own->period : 0;
	if (ours <= 0 || theirs <= 0)
		return ours + theirs;
	return ours < theirs ? ours : theirs;
}

static void fill_breaker(const struct weir__admit *admit, weir_nsec now, struct weir_gate_stats *stats)
{
	struct weir_breaker_stats breaker;
	if (!admit->breaker)
		return;
	weir_breaker_stats(admit->breaker, now, &breaker);
	stats->breaker = breaker.state;
	stats->breaker_until = breaker.state == WEIR_BREAKER_OPEN ? breaker.until : 0;
	stats->breaker_opened = breaker.opened;
	stats->denied_since = breaker.denied_since;
	stats->denied = breaker.denied;
	stats->denied_of = breaker.denied_of;
}

void weir__admit_stats(const struct weir__admit *admit, weir_nsec now, struct weir_gate_stats *ret_stats)
{
	struct weir_gate_stats stats = {
		.limit = limit_of(admit),
		.in_flight = admit->in_flight,
		.adaptive = !admit->concurrency,
		.per_sec = lower_rate(admit),
		.hinted = weir__pace_is_hinted(admit->pace),
		.shut_until = weir__pace_shut_until(admit->pace, now),
		.min_latency = weir__adapt_min_latency(admit->adapt),
		.shut_hinted = weir__pace_is_asked(admit->pace, now),
		.well_at = admit->witness.calls ? admit->well_at : 0,
		.word = admit->word,
		.is_throttled = admit->last == WEIR_OUTCOME_THROTTLED,
		.calls = admit->witness.calls,
		.good = admit->ended[WEIR_OUTCOME_GOOD] + admit->ended[WEIR_OUTCOME_DENIED],
		.failed = admit->ended[WEIR_OUTCOME_FAILED] + admit->ended[WEIR_OUTCOME_ERROR],
		.timed_out = admit->ended[WEIR_OUTCOME_TIMED_OUT],
		.throttled = admit->ended[WEIR_OUTCOME_THROTTLED],
		.released = admit->ended[WEIR_OUTCOME_RELEASED],
		.own = admit->rate.options,
		.granted = admit->keeps_rate ? admit->granted : WEIR_FOREVER,
		.is_wanting = admit->wants_rate,
		.snapshot = {.limit = snapshot_limit(admit),
			     .per_sec = weir__pace_snapshot(admit->pace),
			     .min_latency = weir__adapt_min_latency(admit->adapt),
			     .paid = admit->has_rate ? weir_rate_paid(&admit->rate) : 0},
	};
	fill_breaker(admit, now, &stats);
	ask(admit, now, &stats.held_by);
	*ret_stats = stats;
}
