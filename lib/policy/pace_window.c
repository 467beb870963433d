/* SPDX-License-Identifier: MIT */
/*
 * A fixed window that nobody states.
 *
 * When the quota is used up nothing at all is let in until the window ends, however many tokens a bucket of the same
 * rate would have gained meanwhile: a drought.  Then calls go in as fast as they like.
 *
 *     let in  ################----------################----------##### ...
 *                             '-- dry --' end 1         '-- dry --' end 2
 *                                       '------- length ----------'
 *
 * Two ends tell the length, since people choose round ones, and what was let in between is the quota.  To see the
 * second one early, calls go on after the first faster than they were let in until then.  An end is known by
 * the last call that was refused and the first that was let in, or by what Retry-After says, which is whole seconds
 * rounded up.
 *
 * Once a window is known, what is left of it is spread over its rest, as if the server had stated it.  Where it begins
 * matters little for that: no stretch of its length holds more than the quota when calls are even.  Now and then more
 * than the quota is asked for.  A drought that does not end where a window does, twice, refutes it all.
 */
#include "policy/pace.h"
#include "policy/reckon.h"

#define PAUSE_LEAST   (5 * WEIR_MSEC)
#define PAUSE_MOST    (60 * WEIR_SEC)
#define OVER          1.6   /* so much faster it goes on after the first drought */
#define DROUGHT_LEAST 0.02  /* s */
#define MARGIN        0.003 /* under the quota */
#define DOUBTS        3 /* so many times a window is suspected in vain; where only the server's word tells of it, once */
#define LOOKS         6     /* at where a window ends */
#define STEP          0.04  /* over the quota, when it is tried whether there is more */
#define SHARE         0.002 /* of calls that may be refused by that */
#define SHUT_SHARE    0.01  /* of time that may be spent shut because of it */

/* The roundest first. */
static const weir_nsec round_lengths[] = {
	WEIR_SEC,       60 * WEIR_SEC,   10 * WEIR_SEC,    3600 * WEIR_SEC, 30 * WEIR_SEC,  5 * WEIR_SEC,
	2 * WEIR_SEC,   15 * WEIR_SEC,   20 * WEIR_SEC,    300 * WEIR_SEC,  600 * WEIR_SEC, 900 * WEIR_SEC,
	120 * WEIR_SEC, 1800 * WEIR_SEC, 86400 * WEIR_SEC, WEIR_SEC / 10,   WEIR_SEC / 2,
};

static weir_nsec later(weir_nsec a, weir_nsec b)
{
	return a > b ? a : b;
}

static weir_nsec earlier(weir_nsec a, weir_nsec b)
{
	return a < b ? a : b;
}

/* ---- droughts */

static void shut_until(struct weir__pace *pace, weir_nsec until)
{
	pace->shut = later(pace->shut, until);
}

/* The drought is probed at intervals that grow with it, so that its end is known to a part of it. */
weir_nsec weir__pace_probe_after(const struct weir__pace *pace)
{
	const struct weir__pace_window *window = &pace->window;
	weir_nsec wait = (window->last - window->from) / 4;
	return earlier(PAUSE_MOST, later(PAUSE_LEAST, wait));
}

static void go_dry(struct weir__pace_window *window, const struct weir__sample *sample, weir_nsec after)
{
	if (!window->is_dry) {
		window->is_dry = true;
		window->number = sample->number;
		window->from = window->last = window->until = sample->started;
		window->hint = INT64_MAX;
	} else if (sample->number < window->number) {
		window->number = sample->number;
		window->from = sample->started;
	}
	if (window->last <= sample->started) {
		window->last = sample->started;
		window->last_number = sample->number;
	}
	window->until = later(window->until, sample->started);
	if (after > 0) {
		window->hint = earlier(window->hint, sample->started + after);
		window->until = later(window->until, sample->started + after - WEIR_SEC);
	}
}

/* By Retry-After, when it ends. */
static bool is_hinted(const struct weir__pace_window *window)
{
	return window->hint < INT64_MAX;
}

/* So many were let in since. */
static double count_since(const struct weir__pace *pace, const struct weir__pace_end *begin, uint64_t number)
{
	return (double)number - (double)begin->number - (double)(pace->refused - begin->refused);
}

/* ---- what two of them tell */

static weir_nsec length_between(const struct weir__pace_window *window, const struct weir__pace_end *first,
				const struct weir__pace_end *second)
{
	weir_nsec least = later(second->lo - first->hi, window->least), most = second->hi - first->lo;
	for (size_t i = 0; i < sizeof round_lengths / sizeof *round_lengths; i++)
		if (round_lengths[i] >= least && round_lengths[i] <= most && round_lengths[i] != window->refuted)
			return round_lengths[i];
	weir_nsec middle = (least + most + WEIR_SEC) / (2 * WEIR_SEC) * WEIR_SEC;
	return middle >= least && middle <= most && middle != window->refuted ? middle : 0;
}

static double even_rate(const struct weir__pace_window *window)
{
	return window->quota / seconds(window->length);
}

static void set_quota(struct weir__pace *pace, double quota)
{
	pace->window.quota = most_of(1, quota);
	pace->found.estimate = even_rate(&pace->window);
}

static void know(struct weir__pace *pace, weir_nsec length, double quota, const struct weir__pace_end *before,
		 weir_nsec now)
{
	struct weir__pace_window *window = &pace->window;
	weir_nsec lo = later(window->begin.lo, before->lo + length);
	window->length = length;
	window->at = earlier(window->begin.hi, before->hi + length);
	window->blur = later(0, window->at - lo);
	window->first = window->begin;
	window->step = STEP;
	window->strikes = 0;
	window->carry = 0;
	window->is_test = window->has_passed = false;
	window->next_test = now;
	if (is_hinted(window) && length < 2 * WEIR_SEC) /* Retry-After: 1 is most of it */
		window->next_test += nsec(1 / SHUT_SHARE);
	window->looks = LOOKS;
	set_quota(pace, quota);
	weir__pace_enter(pace, WEIR__PACE_WINDOW, even_rate(window), 0, now);
}

static void forget(struct weir__pace *pace, weir_nsec now)
{
	double rate = 0.8 * even_rate(&pace->window);
	pace->window.refuted = pace->window.length;
	pace->window.length = 0;
	pace->found.marked = false;
	weir__pace_search(pace, rate, now);
}

/* Whether so much was not let in that it cannot have been the wait for a token. */
static bool is_long(const struct weir__pace *pace, double dry, double calls, double time)
{
	return calls >= 10 && dry >= DROUGHT_LEAST && dry >= seconds(pace->found.delay) &&
	       dry * calls / most_of(time, 1e-6) >= least_of(10, 2 + 0.08 * calls);
}

/* What few calls and a server's word say may be wrong: then it is looked for once, and not while a rate is held to. */
static bool may_suspect(const struct weir__pace *pace)
{
	const struct weir__pace_window *window = &pace->window;
	enum weir__pace_phase phase = pace->found.phase;
	if (phase == WEIR__PACE_FREE || phase == WEIR__PACE_TRIAL)
		return false;
	if (is_hinted(window))
		return window->doubts < DOUBTS && phase == WEIR__PACE_SEARCH;
	/* A limit on the number at once has droughts, too, but lets in whoever has fewer under way. */
	return window->doubts < DOUBTS && !weir__pace_is_apart(pace);
}

static void doubt(struct weir__pace_window *window)
{
	window->suspects = false;
	window->doubts += is_hinted(window) ? DOUBTS : 1;
}

/* If it is no window, what is let in from now on tells the rate, unless a bucket was filled while the server was shut.
 */
static void suspect(struct weir__pace *pace, double calls, double time, weir_nsec now)
{
	struct weir__pace_window *window = &pace->window;
	struct weir__pace_found *found = &pace->found;
	window->suspects = true;
	window->expected = calls;
	found->marked = !is_hinted(window);
	found->mark = (struct weir__pace_mark){window->begin.hi, window->begin.number, window->begin.refused};
	found->lost = 0;
	weir__pace_search(pace, OVER * calls / time, now);
	found->slowest = found->rate;
	found->step_at = now + nsec(time);
}

/* The drought after one that made a window suspected.  Where Retry-After is longer than the rest of the window calls go
 * on somewhere inside the next one: what more than the quota was let in tells where that ended.  Returns whether it
 * is a window. */
static bool is_as_suspected(struct weir__pace *pace, struct weir__pace_end before, double calls, weir_nsec now)
{
	struct weir__pace_window *window = &pace->window;
	double more = calls - window->expected, time = seconds(window->from - before.hi);
	if (is_hinted(window) && more > 0.1 * window->expected) {
		before.lo = before.hi + nsec(time * (more / calls - 0.1));
		before.hi += nsec(time * (more / calls + 0.1));
		calls = window->expected;
	}
	weir_nsec length = length_between(window, &before, &window->begin);
	if (length)
		know(pace, length, calls, &before, now);
	return length;
}

static void end_drought(struct weir__pace *pace, const struct weir__pace_end *end)
{
	struct weir__pace_window *window = &pace->window;
	struct weir__pace_end before = window->begin;
	double calls = count_since(pace, &before, end->number), time = seconds(end->hi - before.hi);
	double dry = seconds((is_hinted(window) ? end->hi : end->lo) - window->from);
	bool suspected = window->suspects,
	     is_expected = suspected && calls < (is_hinted(window) ? 2 : 1.5) * window->expected;
	if (suspected && !is_expected)
		doubt(window);
	window->suspects = false;
	if (!is_long(pace, dry, calls, time))
		return;
	window->begin = *end;
	if (is_expected && is_as_suspected(pace, before, calls, end->at))
		return;
	if (time < 20 * dry && may_suspect(pace))
		suspect(pace, calls, time, end->at);
}

/* ---- a window that is known */

/* The latest time at which the window near to `at` can have begun. */
static weir_nsec boundary_near(const struct weir__pace_window *window, weir_nsec at)
{
	weir_nsec half = window->length / 2, off = (at - window->at + half) % window->length;
	return at - (off < 0 ? off + window->length : off) + half;
}

/* It ended where a window does: what it says of the quota, and of where that is. */
static void confirm(struct weir__pace *pace, const struct weir__pace_end *end, weir_nsec hi)
{
	struct weir__pace_window *window = &pace->window;
	weir_nsec lo = hi - window->blur;
	double calls = window->dry_calls + even_rate(window) * seconds(window->blur);
	window->strikes = 0;
	window->at += earlier(0, end->hi - hi);
	hi = earlier(hi, end->hi);
	window->blur = later(0, hi - later(lo, end->lo));
	if (calls < 0.97 * window->quota) {
		set_quota(pace, most_of(calls, 0.5 * window->quota));
		window->next_test = end->at + 3 * window->length; /* it may have been somebody else, for once */
	}
}

static void check_drought(struct weir__pace *pace, const struct weir__pace_end *end)
{
	struct weir__pace_window *window = &pace->window;
	weir_nsec hi = boundary_near(window, end->lo + (end->hi - end->lo) / 2);
	weir_nsec slack = window->length / 50 + pace->found.delay;
	weir_nsec most = window->is_late ? window->length / 2 : window->length;
	if (end->lo - window->from > most + slack) {
		window->least = window->length + 1;
		forget(pace, end->at);
	} else if (end->hi >= hi - window->blur - slack && end->lo <= hi + slack) {
		confirm(pace, end, hi);
	} else if (++window->strikes < 2) {
		window->at = end->hi;
		window->blur = end->hi - end->lo;
		window->first = *end;
	} else {
		forget(pace, end->at);
	}
}

static bool is_blurred(const struct weir__pace *pace)
{
	const struct weir__pace_window *window = &pace->window;
	return window->blur > window->length / 100 && window->blur > 2 * pace->found.delay;
}

/* Until more than the quota is asked for again: what it costs is to be little.  At first it is worth that to see where
 * the windows begin. */
static void put_off_test(struct weir__pace *pace, weir_nsec now)
{
	struct weir__pace_window *window = &pace->window;
	double refused = 3 + even_rate(window) * seconds(pace->found.delay);
	double shut = pace->shut > now ? seconds(pace->shut - now) : 0;
	window->is_test = false;
	window->step = STEP;
	window->next_test =
		now + later(3 * window->length, nsec(refused / (SHARE * even_rate(window)) + shut / SHUT_SHARE));
	if (is_blurred(pace) && window->looks > 0 && shut < seconds(window->length) / 2) {
		window->looks--;
		window->next_test = now + 3 * window->length / 2; /* not at once: calls are to go out evenly before */
	}
}

/* Calls went out evenly, and the quota was used up though fewer than that were let in since the window is believed to
 * have begun: the others tell how much earlier that was. */
static void look(struct weir__pace_window *window)
{
	double missing = window->quota - window->dry_calls, even = even_rate(window);
	weir_nsec near = nsec(2 / even), hi = window->at, lo = hi - window->blur;
	if (window->first.at > hi + near || window->end > lo)
		return;
	lo = later(lo, hi - nsec(most_of(0, missing + 2) / even));
	hi = earlier(hi, hi - nsec(most_of(0, missing - 2) / even));
	if (lo > hi)
		return;
	window->at = hi;
	window->blur = hi - lo;
	window->dry_calls = window->quota;
}

/* The first refusal of a drought: what it says of the quota. */
static void judge_quota(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_window *window = &pace->window;
	bool is_late = window->is_late;
	window->dry_calls = is_late ? window->quota : count_since(pace, &window->first, sample->number) + 1;
	double calls = window->dry_calls, close = 0.01 * window->quota + 2;
	if (is_late)
		set_quota(pace, window->has_passed ? window->before_test : window->quota * (1 - MARGIN));
	else if (window->is_test && calls > window->quota + close)
		set_quota(pace, calls);
	else if (window->is_test && calls < window->quota && is_blurred(pace))
		look(window);
	else if (window->is_test && calls > window->quota - close)
		set_quota(pace, (window->quota + calls) / 2);
	else if (window->dry_calls >= 0.97 * window->quota)
		set_quota(pace, least_of(window->quota, most_of(window->dry_calls, 0.99 * window->quota)));
}

/* Whether a call that was refused belongs to the window before: then that has not ended yet, or not by much. */
static bool is_of_last(const struct weir__pace *pace, weir_nsec sent)
{
	const struct weir__pace_window *window = &pace->window;
	return sent - window->at < earlier(window->length / 50 + pace->found.delay, window->length / 10);
}

static weir_nsec end_of_drought(const struct weir__pace *pace, weir_nsec now)
{
	const struct weir__pace_window *window = &pace->window;
	weir_nsec end = window->is_late ? window->at : window->at + window->length, middle = end - window->blur / 2;
	double blurred = even_rate(window) * seconds(window->blur);
	if (now >= end || window->dry_calls + blurred < 0.9 * window->quota)
		return now + weir__pace_probe_after(pace);
	return is_blurred(pace) && now < middle ? middle : end;
}

static void begin_drought(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_window *window = &pace->window;
	window->is_late = is_of_last(pace, sample->started);
	judge_quota(pace, sample);
	put_off_test(pace, sample->ended);
	if (window->is_late && sample->started >= window->at) { /* it was believed to end a little too early */
		window->at = sample->started + later(window->blur, WEIR_MSEC);
		window->blur = window->at - sample->started;
	}
}

static void refused_in_window(struct weir__pace *pace, const struct weir__sample *sample, bool is_first, bool is_shut)
{
	struct weir__pace_window *window = &pace->window;
	if (sample->number <= window->flight)
		return;
	window->flight = pace->sent;
	if (is_first)
		begin_drought(pace, sample);
	if (!is_shut)
		shut_until(pace, end_of_drought(pace, sample->ended));
}

/* Another one begins: what the last one told. */
static void turn(struct weir__pace *pace, weir_nsec now)
{
	struct weir__pace_window *window = &pace->window;
	double calls = count_since(pace, &window->first, pace->sent);
	weir_nsec begins = now - (now - window->at) % window->length;
	window->carry = most_of(0, least_of(window->budget - calls, 1 - even_rate(window) * seconds(now - begins)));
	window->has_passed = window->is_test && calls > window->quota;
	if (window->has_passed) {
		window->before_test = window->quota;
		set_quota(pace, calls);
		window->step = least_of(0.5, 2 * window->step);
	}
	window->at = begins;
	window->first = (struct weir__pace_end){.at = now, .number = pace->sent, .refused = pace->refused};
	window->is_test = now >= window->next_test;
}

/* As many as there are, evenly; after a pause faster, as far as it is known where the window ends. */
static double spread_rest(const struct weir__pace_window *window, double calls, weir_nsec now)
{
	double faster = MARGIN / 2 * (double)window->length / most_of(1, (double)window->blur);
	double most = even_rate(window) * (1 - MARGIN + faster);
	double rest = seconds(window->at + window->length - now);
	return least_of(most, most_of(1, window->budget - calls) / most_of(1e-3, rest));
}

/* So fast that more than the quota is asked for. */
static double test_rate(const struct weir__pace_window *window)
{
	return even_rate(window) * (1 + window->step) + 1 / seconds(window->length);
}

/* A call is sent: what is left is spread over the rest. */
void weir__pace_spread(struct weir__pace *pace, weir_nsec now)
{
	struct weir__pace_window *window = &pace->window;
	if (now - window->at >= window->length)
		turn(pace, now);
	window->budget = window->quota * (1 - MARGIN) + window->carry;
	double calls = count_since(pace, &window->first, pace->sent) + 1;
	pace->found.rate = window->is_test ? test_rate(window) : spread_rest(window, calls, now);
}

/* ---- what comes back */

bool weir__pace_window_refused(struct weir__pace *pace, const struct weir__sample *sample, weir_nsec after)
{
	struct weir__pace_window *window = &pace->window;
	bool is_first = !window->is_dry;
	if (is_first && sample->number <= window->last_number) /* one more of the last drought */
		return pace->found.phase == WEIR__PACE_WINDOW || window->suspects;
	go_dry(window, sample, after);
	if (pace->found.phase == WEIR__PACE_WINDOW) {
		refused_in_window(pace, sample, is_first, after > 0);
		return true;
	}
	double calls = count_since(pace, &window->begin, sample->number);
	if (is_first && window->suspects && (calls < 0.5 * window->expected || calls > 2 * window->expected))
		doubt(window);
	if (window->suspects && after <= 0)
		shut_until(pace, sample->ended + weir__pace_probe_after(pace));
	return window->suspects;
}

void weir__pace_window_let_in(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_window *window = &pace->window;
	if (!window->is_dry)
		return;
	if (sample->started <= window->last) {
		if (sample->number > window->number) { /* it was not dry all the time */
			window->number = sample->number;
			window->from = sample->started;
		}
		return;
	}
	window->is_dry = false;
	struct weir__pace_end end = {.lo = window->until,
				     .hi = earlier(sample->started, window->hint),
				     .at = sample->ended,
				     .number = window->last_number + 1,
				     .refused = pace->refused};
	end.lo = earlier(end.lo, end.hi);
	window->end = end.hi;
	if (pace->found.phase == WEIR__PACE_WINDOW)
		check_drought(pace, &end);
	else
		end_drought(pace, &end);
}
