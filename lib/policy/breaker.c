/* SPDX-License-Identifier: MIT */
/*
 * The circuit breaker: a window of results, a share of denied calls, and a phase.
 *
 * The phase is all that time alone can change, and it is small: those who only look at the breaker let time pass on a
 * copy of it.  Each change of state has a new epoch.  A permit carries the epoch in which it was given, so that a
 * result which comes too late is known by it, and so is the probe of a half-open that has ended.
 *
 * The share of denied calls is that of whole blocks of calls, one after the other: a row of them opens it before a
 * block has ended.  Some upstreams deny a good part of all calls for ever.  There a probe is good soon, and the next
 * block is twice as long; so it costs them less and less.
 *
 * (resilience4j: CircuitBreakerStateMachine.java, CircuitBreakerMetrics.java.)
 */
#include "base/contract.h"
#include "policy/admit.h"
#include "policy/window.h"

#include <stdlib.h>
#include <weir/breaker.h>
#include <weir/random.h>

enum {
	CALLS_LEAST = 20,
	PROBES = 3,
	WINDOW_CALLS_MOST = 10000,
	PROBES_MOST = 1000,
	DENIED_BLOCK = 20,
	DENIED_BLOCK_MOST = 1280,
	DOUBT_MOST = 16,
};

struct denied {
	unsigned block; /* calls of one */
	unsigned calls, denied, row;
};

/* Probes that have ended. */
struct probes {
	unsigned used;         /* that keep their place */
	unsigned good, failed; /* of them; the others were suspects */
	unsigned denied;       /* of the failed ones */
	unsigned slow, errors;
};

struct phase {
	enum weir_breaker_state state;
	uint32_t epoch;
	weir_nsec until;     /* of open; of half-open with probes under way */
	weir_nsec fresh;     /* of open and half-open: until then probes are for jobs that have not failed before */
	weir_nsec open_time; /* of this time open or the next, before jitter */
	unsigned under_way;  /* permits of this epoch */
	struct probes probes;
	unsigned denied, denied_of; /* 0: it did not open for denied calls */
	weir_nsec denied_since;
	unsigned reopened; /* since it was closed */
	bool by_errors;    /* it opened for the share of failures, most of which were answered */
	uint64_t opened, random;
};

struct weir_breaker {
	struct weir_breaker_options options; /* with its defaults */
	struct phase phase;
	uint64_t refused, stale;
	struct weir__window window;
	unsigned row; /* failures since the last good call */
	struct denied denied;
	unsigned doubt; /* so many times as many calls are needed where most that failed were answered */
	weir_nsec closed_at;
	uint8_t ring[]; /* of the window */
};

/* ---- options */

static void default_time(weir_nsec *time, weir_nsec value)
{
	if (!*time)
		*time = value;
}

static void set_defaults(struct weir_breaker_options *opts)
{
	opts->failure_rate = opts->failure_rate == 0 ? 0.5 : opts->failure_rate;
	opts->slow_rate = opts->slow_rate == 0 ? 1 : opts->slow_rate;
	opts->jitter = opts->jitter == 0 ? 0.2 : opts->jitter;
	opts->calls_least = opts->calls_least ? opts->calls_least : CALLS_LEAST;
	if (opts->window_calls && opts->calls_least > opts->window_calls)
		opts->calls_least = opts->window_calls;
	opts->in_row = opts->in_row ? opts->in_row : opts->calls_least;
	opts->probes = opts->probes ? opts->probes : PROBES;
	default_time(&opts->window, 30 * WEIR_SEC);
	default_time(&opts->open, 5 * WEIR_SEC);
	default_time(&opts->open_most, 30 * WEIR_SEC);
	default_time(&opts->half_open, 30 * WEIR_SEC);
	if (opts->open_most < opts->open)
		opts->open_most = opts->open;
}

/* The comparisons are such that a NaN fails them. */
static bool are_valid(const struct weir_breaker_options *opts)
{
	if (!(opts->failure_rate > 0) || !(opts->slow_rate > 0) || !(opts->jitter <= 1) || !(opts->denied_rate >= 0))
		return false;
	if (opts->window_calls > WINDOW_CALLS_MOST || opts->probes > PROBES_MOST)
		return false;
	return opts->slow >= 0 && opts->window > 0 && opts->open > 0 && opts->open_most > 0 && opts->half_open > 0;
}

int weir_breaker_new(const struct weir_breaker_options *opts, struct weir_breaker **ret_breaker)
{
	struct weir_breaker_options checked = *opts;
	set_defaults(&checked);
	if (!are_valid(&checked) || opts->open_most < 0)
		return WEIR_EINVAL;
	struct weir_breaker *breaker = calloc(1, sizeof *breaker + checked.window_calls);
	if (!breaker)
		return WEIR_ENOMEM;
	breaker->options = checked;
	breaker->window =
		(struct weir__window){.time = checked.window, .calls = checked.window_calls, .ring = breaker->ring};
	breaker->denied.block = DENIED_BLOCK;
	breaker->doubt = 1;
	breaker->phase = (struct phase){.epoch = 1, .open_time = checked.open, .random = checked.seed};
	*ret_breaker = breaker;
	return 0;
}

void weir_breaker_free(struct weir_breaker *breaker)
{
	free(breaker);
}

/* ---- the phase */

static weir_nsec later(weir_nsec time, weir_nsec by)
{
	weir_nsec sum;
	return __builtin_add_overflow(time, by, &sum) ? INT64_MAX : sum;
}

static void enter_state(struct phase *phase, enum weir_breaker_state state, weir_nsec until)
{
	phase->state = state;
	phase->epoch++;
	phase->until = until;
	phase->under_way = 0;
	phase->probes = (struct probes){0};
}

/* Who waits for it comes back up to a tenth of its time later: that tenth is for jobs that have not failed before. */
static void open_it(struct phase *phase, const struct weir_breaker_options *opts, weir_nsec now)
{
	double time = (double)phase->open_time;
	if (opts->jitter > 0)
		time *= 1 + opts->jitter * (2 * weir_random_unit(&phase->random) - 1);
	weir_nsec length = time < 0x1p62 ? (weir_nsec)time : INT64_MAX;
	enter_state(phase, WEIR_BREAKER_OPEN, later(now, length));
	phase->fresh = later(phase->until, length / 10);
	phase->opened++;
}

/* The same from half-open: for twice as long. */
static void open_again(struct phase *phase, const struct weir_breaker_options *opts, weir_nsec now)
{
	phase->open_time = phase->open_time > opts->open_most / 2 ? opts->open_most : 2 * phase->open_time;
	phase->reopened++;
	open_it(phase, opts, now);
}

/* What time alone does.  It ends: half-open without probes stays. */
static void pass_time(struct phase *phase, const struct weir_breaker_options *opts, weir_nsec now)
{
	if (weir__likely(phase->state == WEIR_BREAKER_CLOSED))
		return;
	if (phase->state == WEIR_BREAKER_HALF_OPEN && phase->under_way && now >= phase->until)
		open_again(phase, opts, phase->until);
	if (phase->state == WEIR_BREAKER_OPEN && now >= phase->until)
		enter_state(phase, WEIR_BREAKER_HALF_OPEN, 0);
}

static bool has_free_probe(const struct phase *phase, const struct weir_breaker_options *opts)
{
	return phase->under_way + phase->probes.used < opts->probes;
}

static void clear_window(struct weir_breaker *breaker)
{
	weir__window_clear(&breaker->window);
	breaker->row = 0;
	breaker->denied.calls = breaker->denied.denied = breaker->denied.row = 0;
}

/* ---- calls */

/* Divided, not multiplied: 3 of 30 are 0.1, but 0.1 of 30 are more than 3. */
static bool reaches(unsigned part, unsigned all, double rate)
{
	return (double)part / (double)all >= rate;
}

/* Failures with nothing good between them: after a long time of success the window would need as long to notice. */
static bool is_down(struct weir_breaker *breaker, const struct weir__tally *result)
{
	breaker->row = result->failed ? breaker->row + 1 : 0;
	return breaker->row >= breaker->options.in_row && breaker->options.failure_rate <= 1;
}

/* Jobs that are answered with errors, alternating with others, are half of all calls for a while. */
static unsigned calls_needed(const struct weir_breaker *breaker, weir_nsec now)
{
	const struct weir_breaker_options *opts = &breaker->options;
	bool forgets = now - breaker->closed_at >= opts->window;
	unsigned needed = opts->calls_least, most = opts->window_calls;
	if (breaker->doubt == 1 || forgets || __builtin_mul_overflow(needed, breaker->doubt, &needed))
		return opts->calls_least;
	return most && needed > most ? most : needed;
}

static bool has_too_many(struct weir_breaker *breaker, const struct weir__tally *result, weir_nsec now)
{
	const struct weir_breaker_options *opts = &breaker->options;
	weir__window_add(&breaker->window, result, now);
	breaker->phase.by_errors = false;
	if (is_down(breaker, result))
		return true;
	struct weir__tally window = weir__window_sum(&breaker->window, now);
	if (window.calls < opts->calls_least)
		return false;
	if (reaches(window.slow, window.calls, opts->slow_rate))
		return true;
	bool by_errors = 2 * window.errors > window.failed;
	bool opens = reaches(window.failed, window.calls, opts->failure_rate) &&
		     (!by_errors || window.calls >= calls_needed(breaker, now));
	breaker->phase.by_errors = opens && by_errors;
	return opens;
}

/* Another answer, denied or not: whether too many were. */
static bool is_denied(struct weir_breaker *breaker, bool denied, weir_nsec now)
{
	struct denied *block = &breaker->denied;
	block->calls++;
	block->denied += denied;
	block->row = denied ? block->row + 1 : 0;
	bool is_over = block->calls >= block->block;
	bool opens = block->row >= DENIED_BLOCK ||
		     (is_over && reaches(block->denied, block->calls, breaker->options.denied_rate));
	if (opens) {
		bool by_row = block->row >= DENIED_BLOCK;
		breaker->phase.denied_since = now;
		breaker->phase.denied = by_row ? block->row : block->denied;
		breaker->phase.denied_of = by_row ? block->row : block->calls;
	}
	if (is_over)
		block->calls = block->denied = 0;
	return opens;
}

static void end_call(struct weir_breaker *breaker, const struct weir_breaker_permit *permit, enum weir_outcome outcome,
		     const struct weir__tally *result, weir_nsec now)
{
	bool answered = outcome == WEIR_OUTCOME_GOOD || outcome == WEIR_OUTCOME_ERROR || outcome == WEIR_OUTCOME_DENIED;
	bool denied = outcome == WEIR_OUTCOME_DENIED, counts = answered && !(denied && permit->suspect);
	bool opens = breaker->options.denied_rate > 0 && counts && is_denied(breaker, denied, now);
	if (!permit->suspect)
		opens |= has_too_many(breaker, result, now);
	else if (!result->failed)
		breaker->row = 0;
	if (opens)
		open_it(&breaker->phase, &breaker->options, now);
}

/* ---- probes */

static void close_it(struct weir_breaker *breaker, weir_nsec now)
{
	struct phase *phase = &breaker->phase;
	struct denied *denied = &breaker->denied;
	bool was_short = phase->denied_of && now - phase->denied_since <= 2 * breaker->options.open_most;
	if (was_short && denied->block < DENIED_BLOCK_MOST)
		denied->block *= 2;
	if (!phase->by_errors || phase->reopened)
		breaker->doubt = 1;
	else if (breaker->doubt < DOUBT_MOST)
		breaker->doubt *= 2;
	breaker->closed_at = now;
	enter_state(phase, WEIR_BREAKER_CLOSED, 0);
	phase->open_time = breaker->options.open;
	phase->denied_of = 0;
	phase->reopened = 0;
	clear_window(breaker);
}

/* Too many probes have failed: what for may be another reason than before. */
static void fail_probes(struct phase *phase, const struct weir_breaker_options *opts, weir_nsec now)
{
	const struct probes *probes = &phase->probes;
	bool denied = probes->denied && 2 * probes->denied >= probes->failed;
	if (denied && !phase->denied_of) {
		phase->denied_since = now;
		phase->denied = probes->denied;
		phase->denied_of = probes->used;
	} else if (!denied) {
		phase->denied_of = 0;
	}
	open_again(phase, opts, now);
}

/* Whether a share is certain to be reached, whatever becomes of the `rest`; or may still be. */
static bool is_certain(unsigned part, unsigned judged, unsigned rest, double rate)
{
	return part && reaches(part, judged + rest, rate);
}

static bool is_open_yet(unsigned part, unsigned judged, unsigned rest, double rate)
{
	return rest && reaches(part + rest, judged + rest, rate);
}

/* Opens or closes it as soon as the probes that have ended say so. */
static void judge_probes(struct weir_breaker *breaker, weir_nsec now)
{
	const struct weir_breaker_options *opts = &breaker->options;
	struct phase *phase = &breaker->phase;
	const struct probes *probes = &phase->probes;
	unsigned rest = opts->probes - probes->used, judged = probes->good + probes->failed;
	double rate = phase->denied_of || opts->failure_rate > 1 ? 1 : opts->failure_rate;
	if (probes->errors >= opts->calls_least || is_certain(probes->failed, judged, rest, rate))
		fail_probes(phase, opts, now);
	else if (is_certain(probes->slow, probes->used, rest, opts->slow_rate))
		open_again(phase, opts, now);
	else if (phase->denied_of && probes->good)
		close_it(breaker, now);
	else if (is_open_yet(probes->failed, judged, rest, rate) ||
		 (opts->slow && is_open_yet(probes->slow, probes->used, rest, opts->slow_rate)))
		return;
	else if (judged)
		close_it(breaker, now);
	else if (!rest)
		open_it(phase, opts, now);
}

/* An error that a job is answered again, or that a job is denied that was before and others were not, says nothing, and
 * the probe goes to another call. */
static void end_probe(struct weir_breaker *breaker, const struct weir_breaker_permit *permit, enum weir_outcome outcome,
		      const struct weir__tally *result, weir_nsec now)
{
	const struct weir_breaker_options *opts = &breaker->options;
	struct probes *probes = &breaker->phase.probes;
	bool denied = outcome == WEIR_OUTCOME_DENIED && opts->denied_rate > 0;
	bool failed = result->failed && opts->failure_rate <= 1, counts = !failed || !permit->suspect;
	if (failed && outcome == WEIR_OUTCOME_ERROR) {
		probes->errors += !permit->again;
	} else if (!denied || !permit->suspect) {
		probes->used++;
		probes->denied += denied;
		probes->failed += denied || (failed && counts);
		probes->good += !denied && !failed;
		probes->slow += result->slow && counts;
	}
	judge_probes(breaker, now);
}

int weir_breaker_allow(struct weir_breaker *breaker, weir_nsec now, struct weir_breaker_permit *ret_permit)
{
	struct phase *phase = &breaker->phase;
	pass_time(phase, &breaker->options, now);
	if (phase->state == WEIR_BREAKER_OPEN ||
	    (phase->state == WEIR_BREAKER_HALF_OPEN && !has_free_probe(phase, &breaker->options))) {
		breaker->refused++;
		return WEIR_EOPEN;
	}
	if (phase->state == WEIR_BREAKER_HALF_OPEN && !phase->under_way)
		phase->until = later(now, breaker->options.half_open);
	phase->under_way++;
	*ret_permit =
		(struct weir_breaker_permit){.epoch = phase->epoch, .probe = phase->state == WEIR_BREAKER_HALF_OPEN};
	return 0;
}

static bool is_failure(enum weir_outcome outcome)
{
	return outcome == WEIR_OUTCOME_FAILED || outcome == WEIR_OUTCOME_TIMED_OUT || outcome == WEIR_OUTCOME_ERROR;
}

void weir__breaker_end(const char *here, struct weir_breaker *breaker, struct weir_breaker_permit permit,
		       enum weir_outcome outcome, weir_nsec took, weir_nsec now)
{
	struct phase *phase = &breaker->phase;
	bool informs = outcome != WEIR_OUTCOME_RELEASED && outcome != WEIR_OUTCOME_THROTTLED;
	struct weir__tally result = {
		.calls = 1,
		.failed = is_failure(outcome),
		.errors = outcome == WEIR_OUTCOME_ERROR,
		.slow = breaker->options.slow && took > breaker->options.slow,
	};
	pass_time(phase, &breaker->options, now);
	if (permit.epoch != phase->epoch) {
		breaker->stale += informs;
		return;
	}
	weir__require(phase->under_way, here, "weir_breaker_end: this permit has ended before");
	phase->under_way--;
	if (!informs)
		return;
	if (phase->state == WEIR_BREAKER_CLOSED)
		end_call(breaker, &permit, outcome, &result, now);
	else
		end_probe(breaker, &permit, outcome, &result, now);
}

#undef weir_breaker_end
void weir_breaker_end(struct weir_breaker *breaker, struct weir_breaker_permit permit, enum weir_outcome outcome,
		      weir_nsec took, weir_nsec now)
{
	weir__breaker_end(NULL, breaker, permit, outcome, took, now);
}

/* ---- looking at it */

/* That of a closed one stays: those who are asked for each call look at it first. */
static bool is_closed(const struct weir_breaker *breaker)
{
	return weir__likely(breaker->phase.state == WEIR_BREAKER_CLOSED);
}

static struct phase phase_at(const struct weir_breaker *breaker, weir_nsec now)
{
	struct phase phase = breaker->phase;
	pass_time(&phase, &breaker->options, now);
	return phase;
}

bool weir__breaker_honours(const struct weir_breaker *breaker, struct weir_breaker_permit permit, weir_nsec now)
{
	return (is_closed(breaker) ? breaker->phase.epoch : phase_at(breaker, now).epoch) == permit.epoch;
}

weir_nsec weir__breaker_fresh_until(const struct weir_breaker *breaker, weir_nsec now)
{
	return is_closed(breaker) ? 0 : phase_at(breaker, now).fresh;
}

weir_nsec weir_breaker_next(const struct weir_breaker *breaker, weir_nsec now)
{
	if (is_closed(breaker))
		return now;
	struct phase phase = phase_at(breaker, now);
	if (phase.state == WEIR_BREAKER_HALF_OPEN && has_free_probe(&phase, &breaker->options))
		return now;
	return phase.until;
}

enum weir_breaker_state weir_breaker_state(const struct weir_breaker *breaker, weir_nsec now)
{
	return is_closed(breaker) ? WEIR_BREAKER_CLOSED : phase_at(breaker, now).state;
}

void weir_breaker_stats(const struct weir_breaker *breaker, weir_nsec now, struct weir_breaker_stats *ret_stats)
{
	struct phase phase = phase_at(breaker, now);
	struct weir__tally window = weir__window_sum(&breaker->window, now);
	*ret_stats = (struct weir_breaker_stats){
		.state = phase.state,
		.calls = window.calls,
		.failed = window.failed,
		.slow = window.slow,
		.opened = phase.opened,
		.refused = breaker->refused,
		.stale = breaker->stale,
		.until = phase.state == WEIR_BREAKER_OPEN || phase.under_way ? phase.until : 0,
		.denied = phase.denied_of ? phase.denied : 0,
		.denied_of = phase.denied_of,
		.denied_since = phase.denied_of ? phase.denied_since : 0,
	};
}

const char *weir_breaker_state_name(enum weir_breaker_state state)
{
	static const char *const names[] = {"closed", "open", "half-open"};
	return names[state];
}
