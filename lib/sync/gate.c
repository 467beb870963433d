/* SPDX-License-Identifier: MIT */
/*
 * The gate: admission (policy/admit.h) and the line of those who wait for it (sync/gate.h).
 *
 * What can open a gate: a call leaves, a setting changes, or time passes.  The first two hand out where they happen.
 * For time the first of the line sleeps no longer than until the next opening; the others sleep until they are told.
 * So there is one timer a gate, and who is first is served the moment it opens.
 */
#include "sync/gate.h"

#include "policy/admit.h"

#include <stdlib.h>
#include <string.h>

struct weir_gate {
	struct weir__admit *admit;
	struct weir__gate_waiter *first, *last;
	const struct weir__gate_waiter *keeper; /* who was told of `opens` */
	weir_nsec opens;                        /* by time alone, for the first of the line */
	size_t waiting;
	size_t inside; /* fibers that wait, or were woken and have not run since */
	size_t in_flight;
	bool rejects;
	bool closed;
	void *owner;
	struct weir_histogram *waits; /* of one with a name, else NULL */
	char *name;
	struct weir_metrics_source source;
};

/* ---- in the metrics */

static void collect(const struct weir_metrics_source *source, union weir_metric_value *ret_values)
{
	const struct weir_gate *gate =
		(const struct weir_gate *)((const char *)source - offsetof(struct weir_gate, source));
	struct weir_gate_stats stats;
	weir_gate_stats(gate, &stats);
	ret_values[0].gauge = (double)stats.limit;
	ret_values[1].gauge = (double)stats.in_flight;
	ret_values[2].gauge = (double)stats.waiting;
	ret_values[3].gauge = stats.per_sec;
	ret_values[4].gauge = stats.shut_until ? 1 : 0;
	ret_values[5].gauge = (double)stats.breaker;
	ret_values[6].counter = stats.calls;
	ret_values[7].counter = stats.throttled;
	ret_values[8].counter = stats.failed + stats.timed_out;
	ret_values[9].histogram = gate->waits;
}

static const struct weir_metric_def defs[] = {
	{"weir_gate_limit", "Calls that may be under way at once.", WEIR_GAUGE},
	{"weir_gate_in_flight", "Calls under way.", WEIR_GAUGE},
	{"weir_gate_waiting", "Calls that wait to be let in.", WEIR_GAUGE},
	{"weir_gate_rate_per_second", "The rate it holds to; 0: none.", WEIR_GAUGE},
	{"weir_gate_shut", "1 while the server has asked to come back later.", WEIR_GAUGE},
	{"weir_gate_breaker_state", "0: closed, 1: open, 2: half-open.", WEIR_GAUGE},
	{"weir_gate_calls_total", "Calls that were let in.", WEIR_COUNTER},
	{"weir_gate_throttled_total", "Calls that the server turned away for its limits.", WEIR_COUNTER},
	{"weir_gate_failed_total", "Calls that failed or timed out.", WEIR_COUNTER},
	{"weir_gate_wait_seconds", "How long calls waited to be let in.", WEIR_HISTOGRAM},
};
static const struct weir_metrics_kind kind = {defs, sizeof defs / sizeof defs[0], collect};

static int report_as(struct weir_gate *gate, const char *name, struct weir_metrics *metrics)
{
	gate->name = strdup(name);
	if (!gate->name || weir_histogram_new(&gate->waits))
		return WEIR_ENOMEM;
	return weir_metrics_register(metrics, &gate->source, &kind, gate->name);
}

/* ---- making one */

static void gate_fini(struct weir_gate *gate)
{
	weir_metrics_unregister(&gate->source);
	weir_histogram_free(gate->waits);
	weir__admit_free(gate->admit);
	free(gate->name);
	free(gate);
}

int weir_gate_new(const struct weir_gate_options *opts, struct weir_gate **ret_gate)
{
	struct weir_gate *gate = calloc(1, sizeof *gate);
	if (!gate)
		return WEIR_ENOMEM;
	gate->opens = WEIR_FOREVER;
	gate->rejects = opts->flags & WEIR_GATE_REJECT;
	int code = weir__admit_new(opts, &gate->admit);
	if (code == 0 && opts->name)
		code = report_as(gate, opts->name, opts->metrics);
	if (code) {
		gate_fini(gate);
		return code;
	}
	*ret_gate = gate;
	return 0;
}

void weir_gate_free(struct weir_gate *gate)
{
	if (!gate)
		return;
	weir__require(!gate->first && !gate->inside,
		      "weir_gate_free() while a fiber waits on it, or was woken and has not run");
	weir__require(!gate->in_flight, "weir_gate_free() while a call is inside");
	gate_fini(gate);
}

/* ---- the line */

static void take_out(struct weir_gate *gate, struct weir__gate_waiter *waiter)
{
	if (waiter->prev)
		waiter->prev->next = waiter->next;
	else
		gate->first = waiter->next;
	if (waiter->next)
		waiter->next->prev = waiter->prev;
	else
		gate->last = waiter->prev;
	gate->waiting--;
	if (gate->waits)
		weir_histogram_record(gate->waits, weir_clock() - waiter->since);
}

static void serve(struct weir_gate *gate, int code)
{
	struct weir__gate_waiter *waiter = gate->first;
	take_out(gate, waiter);
	waiter->code = code;
	if (code == 0) {
		weir__admit_enter(gate->admit, &waiter->pass, weir_now());
		gate->in_flight++;
	}
	waiter->tell(waiter);
}

/* What may happen to the next call now: 0, WEIR_EOPEN, WEIR_ECLOSED, or WEIR_EAGAIN with when to ask again. */
static int ask(struct weir_gate *gate, weir_nsec *ret_opens)
{
	enum weir_held_by held_by = WEIR_HELD_BY_NOTHING;
	weir_nsec now = weir_now();
	if (weir__unlikely(gate->closed))
		return WEIR_ECLOSED;
	weir_nsec at = weir__admit_ask(gate->admit, now, &held_by);
	if (at != WEIR_FOREVER && at <= now)
		return 0;
	*ret_opens = at;
	return gate->rejects && held_by == WEIR_HELD_BY_BREAKER ? WEIR_EOPEN : WEIR_EAGAIN;
}

void weir__gate_hand_out(struct weir_gate *gate)
{
	weir_nsec opens = WEIR_FOREVER;
	while (gate->first) {
		int code = ask(gate, &opens);
		if (code == WEIR_EAGAIN)
			break;
		serve(gate, code);
	}
	/* The keeper of an opening that has moved away finds that out when it looks. */
	if (gate->first && opens != WEIR_FOREVER && (gate->keeper != gate->first || gate->opens != opens)) {
		gate->keeper = gate->first;
		gate->opens = opens;
		gate->first->tell(gate->first);
	} else if (!gate->first || opens == WEIR_FOREVER) {
		gate->keeper = NULL;
		gate->opens = WEIR_FOREVER;
	}
}

int weir__gate_try(struct weir_gate *gate, struct weir_pass *ret_pass)
{
	weir_nsec opens;
	int code = WEIR_EAGAIN;
	if (!gate->first || gate->rejects)
		code = ask(gate, &opens);
	if (code == 0 && gate->first)
		return WEIR_EAGAIN;
	if (code == 0) {
		weir__admit_enter(gate->admit, ret_pass, weir_now());
		gate->in_flight++;
	}
	return code;
}

void weir__gate_line_up(struct weir_gate *gate, struct weir__gate_waiter *waiter)
{
	waiter->code = WEIR__IN_LINE;
	waiter->next = NULL;
	waiter->prev = gate->last;
	if (gate->last)
		gate->last->next = waiter;
	else
		gate->first = waiter;
	gate->last = waiter;
	gate->waiting++;
	waiter->since = gate->waits ? weir_clock() : 0;
	if (gate->first == waiter)
		weir__gate_hand_out(gate);
}

void weir__gate_step_out(struct weir_gate *gate, struct weir__gate_waiter *waiter)
{
	bool was_first = gate->first == waiter;
	take_out(gate, waiter);
	if (was_first)
		weir__gate_hand_out(gate);
}

bool weir__gate_honours(const struct weir_gate *gate, const struct weir_pass *pass)
{
	return weir__admit_honours(gate->admit, pass, weir_now());
}

weir_nsec weir__gate_keeps(const struct weir_gate *gate, const struct weir__gate_waiter *waiter)
{
	return gate->first == waiter ? gate->opens : WEIR_FOREVER;
}

size_t weir__gate_in_flight(const struct weir_gate *gate)
{
	return gate->in_flight;
}

/* ---- entering */

struct fiber_waiter {
	struct weir__gate_waiter line;
	struct weir__waiter waiter;
};

static void tell_fiber(struct weir__gate_waiter *line)
{
	struct fiber_waiter *self = (struct fiber_waiter *)line;
	if (weir__waits(&self->waiter))
		weir__wake(&self->waiter, 0);
}

static bool is_before(weir_nsec a, weir_nsec b)
{
	return a != WEIR_FOREVER && (b == WEIR_FOREVER || a < b);
}

/* Until it is served, or the deadline, or a cancel: it has left the line then. */
static int wait_in_line(struct weir_gate *gate, struct fiber_waiter *self, weir_nsec deadline)
{
	int code = 0;
	weir__gate_line_up(gate, &self->line);
	while (self->line.code == WEIR__IN_LINE && code != WEIR_ECANCELED) {
		weir_nsec opens = weir__gate_keeps(gate, &self->line);
		if (code == WEIR_ETIMEDOUT && !is_before(weir_now(), deadline))
			break;
		self->waiter = (struct weir__waiter){.what = "gate"};
		code = weir__wait(NULL, &self->waiter, is_before(opens, deadline) ? opens : deadline);
		if (code == WEIR_ETIMEDOUT && self->line.code == WEIR__IN_LINE && gate->first == &self->line)
			weir__gate_hand_out(gate);
		if (weir__check_cancel()) /* also when it was woken before */
			code = WEIR_ECANCELED;
	}
	if (self->line.code != WEIR__IN_LINE)
		return self->line.code;
	weir__gate_step_out(gate, &self->line);
	return code;
}

static __attribute__((noinline)) int enter_later(struct weir_gate *gate, struct weir_pass *ret_pass, weir_nsec deadline)
{
	struct fiber_waiter self = {.line.tell = tell_fiber};
	deadline = weir__deadline(deadline);
	if (deadline != WEIR_FOREVER && deadline <= weir_now())
		return WEIR_ETIMEDOUT;
	gate->inside++;
	int code = wait_in_line(gate, &self, deadline);
	gate->inside--;
	if (code == 0)
		*ret_pass = self.line.pass;
	return code;
}

int weir_gate_enter(struct weir_gate *gate, struct weir_pass *ret_pass, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	int code = weir__gate_try(gate, ret_pass);
	if (weir__likely(code != WEIR_EAGAIN) || deadline == WEIR_TRY)
		return code;
	return enter_later(gate, ret_pass, deadline);
}

void weir_gate_leave(struct weir_gate *gate, const struct weir_pass *pass, enum weir_outcome outcome,
		     const struct weir_told *told)
{
	weir__require(gate->in_flight > 0, "weir_gate_leave() once too often");
	gate->in_flight--;
	weir__admit_leave(gate->admit, pass, outcome, told, weir_now());
	if (gate->first)
		weir__gate_hand_out(gate);
}

/* ---- changes */

int weir_gate_set_concurrency(struct weir_gate *gate, size_t concurrency)
{
	int code = weir__admit_set_concurrency(gate->admit, concurrency);
	weir__gate_hand_out(gate);
	return code;
}

int weir_gate_set_rate(struct weir_gate *gate, const struct weir_rate_options *rate)
{
	int code = weir__admit_set_rate(gate->admit, rate, weir_now());
	weir__gate_hand_out(gate);
	return code;
}

void weir_gate_pause(struct weir_gate *gate, bool paused)
{
	weir__admit_pause(gate->admit, paused);
	weir__gate_hand_out(gate);
}

/* Without memory for it things stay as they were found. */
void weir__gate_go_on_from(struct weir_gate *gate, size_t concurrency, double per_sec)
{
	weir__admit_go_on_from(gate->admit, concurrency, per_sec, weir_now());
	weir__gate_hand_out(gate);
}

void weir_gate_close(struct weir_gate *gate)
{
	gate->closed = true;
	weir__gate_hand_out(gate);
}

/* ---- looking at it */

weir_nsec weir_gate_shut_until(const struct weir_gate *gate)
{
	return weir__admit_shut_until(gate->admit, weir_now());
}

void weir_gate_stats(const struct weir_gate *gate, struct weir_gate_stats *ret_stats)
{
	weir__admit_stats(gate->admit, weir_now(), ret_stats);
	ret_stats->waiting = gate->waiting;
}

size_t weir__gate_limit(const struct weir_gate *gate)
{
	struct weir_gate_stats stats;
	weir_gate_stats(gate, &stats);
	return stats.limit;
}

void weir__gate_set_owner(struct weir_gate *gate, void *owner)
{
	gate->owner = owner;
}

void *weir__gate_owner(const struct weir_gate *gate)
{
	return gate->owner;
}

bool weir__gate_excuses(const struct weir_gate *gate, weir_nsec *ret_opens)
{
	struct weir_gate_stats stats;
	weir_gate_stats(gate, &stats);
	weir_nsec opens = gate->rejects ? stats.shut_until : weir_gate_shut_until(gate);
	*ret_opens = opens == WEIR_FOREVER ? 0 : opens;
	if (stats.breaker != WEIR_BREAKER_CLOSED)
		return gate->rejects ? opens : weir__admit_is_out(gate->admit, weir_now());
	return opens;
}

bool weir__gate_probes(const struct weir_gate *gate)
{
	return weir__admit_breaker(gate->admit, weir_now()) != WEIR_BREAKER_CLOSED;
}

const char *weir_held_by_name(enum weir_held_by held_by)
{
	static const char *const names[] = {
		[WEIR_HELD_BY_NOTHING] = "nothing",
		[WEIR_HELD_BY_CONCURRENCY] = "concurrency limit",
		[WEIR_HELD_BY_RATE] = "rate limit",
		[WEIR_HELD_BY_SERVER_RATE] = "the server's rate limit",
		[WEIR_HELD_BY_SHUT] = "the server's \"come back later\"",
		[WEIR_HELD_BY_BREAKER] = "open circuit breaker",
		[WEIR_HELD_BY_PAUSE] = "pause",
	};
	return (unsigned)held_by < sizeof names / sizeof names[0] ? names[held_by] : "?";
}
