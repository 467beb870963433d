/* SPDX-License-Identifier: MIT */
/*
 * The circuit breaker: a window of results, and a phase.
 *
 * The phase is all that time alone can change, and it is small: those who only look at the breaker let time pass on a
 * copy of it.  Each change of state has a new epoch.  A permit carries the epoch in which it was given, so that a
 * result which comes too late is known by it, and so is the probe of a half-open that has ended.
 *
 * The window is either a ring of the last calls or ten buckets of time, of which those that lie in the last ten count:
 * what is counted is between 9/10 of the window and the whole of it old.
 *
 * (resilience4j: CircuitBreakerStateMachine.java, CircuitBreakerMetrics.java.)
 */
#include "base/contract.h"
#include "policy/admit.h"

#include <stdlib.h>
#include <weir/breaker.h>
#include <weir/random.h>

enum { BUCKETS = 10, CALLS_LEAST = 20, PROBES = 3, WINDOW_CALLS_MOST = 10000, PROBES_MOST = 1000 };

struct tally {
	unsigned calls, failed, slow;
};

struct bucket {
	int64_t number; /* its time / the width of a bucket */
	struct tally tally;
};

enum { RESULT_FAILED = 1, RESULT_SLOW = 2 };

struct phase {
	enum weir_breaker_state state;
	uint32_t epoch;
	weir_nsec until;      /* of open; of half-open with probes under way */
	weir_nsec open_time;  /* of this time open or the next, before jitter */
	unsigned under_way;   /* permits of this epoch */
	unsigned ended, slow; /* probes that have */
	uint64_t opened, random;
};

struct weir_breaker {
	struct weir_breaker_options options; /* with its defaults */
	struct phase phase;
	uint64_t refused, stale;
	struct bucket buckets[BUCKETS]; /* a window of time: number n is at n % BUCKETS */
	struct tally tally;             /* a window of calls: all of it */
	unsigned row;                   /* failures since the last good call */
	unsigned next;                  /* place in the ring */
	uint8_t ring[];                 /* of RESULT_…, window_calls of them */
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
	if (!(opts->failure_rate > 0) || !(opts->slow_rate > 0) || !(opts->jitter <= 1))
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
	phase->under_way = phase->ended = phase->slow = 0;
}

static void open_it(struct phase *phase, const struct weir_breaker_options *opts, weir_nsec now)
{
	double time = (double)phase->open_time;
	if (opts->jitter > 0)
		time *= 1 + opts->jitter * (2 * weir_random_unit(&phase->random) - 1);
	enter_state(phase, WEIR_BREAKER_OPEN, later(now, time < 0x1p62 ? (weir_nsec)time : INT64_MAX));
	phase->opened++;
}

/* The same from half-open: for twice as long. */
static void open_again(struct phase *phase, const struct weir_breaker_options *opts, weir_nsec now)
{
	phase->open_time = phase->open_time > opts->open_most / 2 ? opts->open_most : 2 * phase->open_time;
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
	return phase->under_way + phase->ended < opts->probes;
}

/* ---- the window */

static void add(struct tally *sum, const struct tally *tally)
{
	sum->calls += tally->calls;
	sum->failed += tally->failed;
	sum->slow += tally->slow;
}

static int64_t bucket_number(const struct weir_breaker *breaker, weir_nsec now)
{
	weir_nsec width = breaker->options.window / BUCKETS;
	return (now > 0 ? now : 0) / (width ? width : 1);
}

static struct tally window_tally(const struct weir_breaker *breaker, weir_nsec now)
{
	struct tally sum = {0};
	if (breaker->options.window_calls)
		return breaker->tally;
	int64_t oldest = bucket_number(breaker, now) - BUCKETS + 1;
	for (int i = 0; i < BUCKETS; i++)
		if (breaker->buckets[i].number >= oldest)
			add(&sum, &breaker->buckets[i].tally);
	return sum;
}

static void clear_window(struct weir_breaker *breaker)
{
	for (int i = 0; i < BUCKETS; i++)
		breaker->buckets[i] = (struct bucket){0};
	breaker->tally = (struct tally){0};
	breaker->row = 0;
	breaker->next = 0;
}

static void record_in_time(struct weir_breaker *breaker, const struct tally *result, weir_nsec now)
{
	int64_t number = bucket_number(breaker, now);
	struct bucket *bucket = &breaker->buckets[number % BUCKETS];
	if (bucket->number < number)
		*bucket = (struct bucket){.number = number};
	add(&bucket->tally, result);
}

static void record_in_ring(struct weir_breaker *breaker, const struct tally *result)
{
	struct tally *sum = &breaker->tally;
	uint8_t *place = &breaker->ring[breaker->next];
	if (sum->calls == breaker->options.window_calls) {
		sum->calls--;
		sum->failed -= (*place & RESULT_FAILED) != 0;
		sum->slow -= (*place & RESULT_SLOW) != 0;
	}
	*place = (uint8_t)((result->failed ? RESULT_FAILED : 0) | (result->slow ? RESULT_SLOW : 0));
	add(sum, result);
	breaker->next = (breaker->next + 1) % breaker->options.window_calls;
}

/* ---- calls */

/* Divided, not multiplied: 3 of 30 are 0.1, but 0.1 of 30 are more than 3. */
static bool reaches(unsigned part, unsigned all, double rate)
{
	return (double)part / (double)all >= rate;
}

/* Failures with nothing good between them: after a long time of success the window would need as long to notice. */
static bool is_down(struct weir_breaker *breaker, const struct tally *result)
{
	breaker->row = result->failed ? breaker->row + 1 : 0;
	return breaker->row >= breaker->options.in_row && breaker->options.failure_rate <= 1;
}

static void end_call(struct weir_breaker *breaker, const struct tally *result, weir_nsec now)
{
	const struct weir_breaker_options *opts = &breaker->options;
	if (opts->window_calls)
		record_in_ring(breaker, result);
	else
		record_in_time(breaker, result, now);
	struct tally window = window_tally(breaker, now);
	if (is_down(breaker, result)) {
		open_it(&breaker->phase, opts, now);
		return;
	}
	if (window.calls < opts->calls_least)
		return;
	if (reaches(window.failed, window.calls, opts->failure_rate) ||
	    reaches(window.slow, window.calls, opts->slow_rate))
		open_it(&breaker->phase, opts, now);
}

static void end_probe(struct weir_breaker *breaker, const struct tally *result, weir_nsec now)
{
	const struct weir_breaker_options *opts = &breaker->options;
	struct phase *phase = &breaker->phase;
	phase->ended++;
	phase->slow += result->slow;
	if (result->failed && opts->failure_rate <= 1) {
		open_again(phase, opts, now);
		return;
	}
	if (phase->ended < opts->probes)
		return;
	if (reaches(phase->slow, phase->ended, opts->slow_rate)) {
		open_again(phase, opts, now);
		return;
	}
	enter_state(phase, WEIR_BREAKER_CLOSED, 0);
	phase->open_time = opts->open;
	clear_window(breaker);
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

void weir_breaker_end(struct weir_breaker *breaker, struct weir_breaker_permit permit, enum weir_outcome outcome,
		      weir_nsec took, weir_nsec now)
{
	struct phase *phase = &breaker->phase;
	bool learnt = outcome != WEIR_OUTCOME_RELEASED && outcome != WEIR_OUTCOME_THROTTLED;
	struct tally result = {
		.calls = 1,
		.failed = outcome == WEIR_OUTCOME_FAILED || outcome == WEIR_OUTCOME_TIMED_OUT,
		.slow = breaker->options.slow && took > breaker->options.slow,
	};
	pass_time(phase, &breaker->options, now);
	if (permit.epoch != phase->epoch) {
		breaker->stale += learnt;
		return;
	}
	weir__require(phase->under_way, "weir_breaker_end() of a permit that has ended");
	phase->under_way--;
	if (!learnt)
		return;
	if (phase->state == WEIR_BREAKER_CLOSED)
		end_call(breaker, &result, now);
	else
		end_probe(breaker, &result, now);
}

/* ---- looking at it */

static struct phase phase_at(const struct weir_breaker *breaker, weir_nsec now)
{
	struct phase phase = breaker->phase;
	pass_time(&phase, &breaker->options, now);
	return phase;
}

bool weir__breaker_honours(const struct weir_breaker *breaker, struct weir_breaker_permit permit, weir_nsec now)
{
	return phase_at(breaker, now).epoch == permit.epoch;
}

weir_nsec weir_breaker_next(const struct weir_breaker *breaker, weir_nsec now)
{
	struct phase phase = phase_at(breaker, now);
	if (phase.state == WEIR_BREAKER_CLOSED)
		return now;
	if (phase.state == WEIR_BREAKER_HALF_OPEN && has_free_probe(&phase, &breaker->options))
		return now;
	return phase.until;
}

enum weir_breaker_state weir_breaker_state(const struct weir_breaker *breaker, weir_nsec now)
{
	return phase_at(breaker, now).state;
}

void weir_breaker_stats(const struct weir_breaker *breaker, weir_nsec now, struct weir_breaker_stats *ret_stats)
{
	struct phase phase = phase_at(breaker, now);
	struct tally window = window_tally(breaker, now);
	*ret_stats = (struct weir_breaker_stats){
		.state = phase.state,
		.calls = window.calls,
		.failed = window.failed,
		.slow = window.slow,
		.opened = phase.opened,
		.refused = breaker->refused,
		.stale = breaker->stale,
		.until = phase.state == WEIR_BREAKER_OPEN || phase.under_way ? phase.until : 0,
	};
}

const char *weir_breaker_state_name(enum weir_breaker_state state)
{
	static const char *const names[] = {"closed", "open", "half-open"};
	return names[state];
}
