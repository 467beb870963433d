/* SPDX-License-Identifier: MIT */
/*
 * The gate: admission (policy/admit.h) and the line of those who wait for it (sync/gate.h).
 *
 * What can open a gate: a call leaves, a setting changes, or time passes.  The first two hand out where they happen.
 * For time the first of the line sleeps no longer than until the next opening; the others sleep until they are told.
 * So there is one timer a gate, and who is first is served the moment it opens.
 */
#include "sync/gate.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct weir_gate {
	struct weir__admit *admit;
	uint64_t number; /* that no other gate has, whatever its address */
	TAILQ_HEAD(gate_line, weir__gate_waiter) line;
	const struct weir__gate_waiter *keeper; /* who was told of `opens` */
	weir_nsec opens;                        /* by time alone, for the first of the line */
	size_t waiting;
	size_t in_flight;
	void (*rate_wanted)(void *arg); /* NULL: all of one's own rate is granted */
	void *rate_arg;
	bool rejects;
	bool closed;
	void *owner;
	char said[128];
};

/* ---- making one */

/* Gates of all threads take their numbers here; nothing else is ordered by it. */
static _Atomic uint64_t last_number;

int weir__gate_new(const struct weir__gate_options *opts, struct weir_gate **ret_gate)
{
	struct weir_gate *gate = calloc(1, sizeof *gate);
	if (!gate)
		return WEIR_ENOMEM;
	TAILQ_INIT(&gate->line);
	gate->number = atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1;
	gate->opens = WEIR_FOREVER;
	gate->rejects = opts->flags & WEIR_GATE_REJECT;
	gate->rate_wanted = opts->rate_wanted;
	gate->rate_arg = opts->rate_arg;
	int code = weir__admit_new(opts, &gate->admit);
	if (code == 0 && gate->rate_wanted)
		weir__admit_keep_rate(gate->admit, opts->snapshot.paid, weir_now());
	if (code) {
		weir__gate_free(gate);
		return code;
	}
	*ret_gate = gate;
	return 0;
}

void weir__gate_free(struct weir_gate *gate)
{
	if (!gate)
		return;
	weir__admit_free(gate->admit);
	free(gate);
}

/* ---- the line */

static void take_out(struct weir_gate *gate, struct weir__gate_waiter *waiter)
{
	TAILQ_REMOVE(&gate->line, waiter, others);
	gate->waiting--;
}

static void serve(struct weir_gate *gate, int code)
{
	struct weir__gate_waiter *waiter = TAILQ_FIRST(&gate->line);
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
	if (weir__unlikely(gate->rate_wanted && weir__admit_wants_rate(gate->admit)))
		gate->rate_wanted(gate->rate_arg);
	return held_by == WEIR_HELD_BY_BREAKER && gate->rejects ? WEIR_EOPEN : WEIR_EAGAIN;
}

void weir__gate_hand_out(struct weir_gate *gate)
{
	weir_nsec opens = WEIR_FOREVER;
	while (!TAILQ_EMPTY(&gate->line)) {
		int code = ask(gate, &opens);
		if (code == WEIR_EAGAIN)
			break;
		serve(gate, code);
	}
	struct weir__gate_waiter *first = TAILQ_FIRST(&gate->line);
	/* The keeper of an opening that has moved away finds that out when it looks. */
	if (first && opens != WEIR_FOREVER && (gate->keeper != first || gate->opens != opens)) {
		gate->keeper = first;
		gate->opens = opens;
		first->tell(first);
	} else if (!first || opens == WEIR_FOREVER) {
		gate->keeper = NULL;
		gate->opens = WEIR_FOREVER;
	}
}

int weir__gate_try(struct weir_gate *gate, struct weir__pass *ret_pass)
{
	weir_nsec opens;
	int code = WEIR_EAGAIN;
	if (TAILQ_EMPTY(&gate->line) || gate->rejects)
		code = ask(gate, &opens);
	if (code == 0 && !TAILQ_EMPTY(&gate->line))
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
	TAILQ_INSERT_TAIL(&gate->line, waiter, others);
	gate->waiting++;
	if (TAILQ_FIRST(&gate->line) == waiter)
		weir__gate_hand_out(gate);
}

void weir__gate_step_out(struct weir_gate *gate, struct weir__gate_waiter *waiter)
{
	bool was_first = TAILQ_FIRST(&gate->line) == waiter;
	take_out(gate, waiter);
	if (was_first)
		weir__gate_hand_out(gate);
}

bool weir__gate_honours(const struct weir_gate *gate, const struct weir__pass *pass)
{
	return weir__admit_honours(gate->admit, pass, weir_now());
}

weir_nsec weir__gate_keeps(const struct weir_gate *gate, const struct weir__gate_waiter *waiter)
{
	return TAILQ_FIRST(&gate->line) == waiter ? gate->opens : WEIR_FOREVER;
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

/* Until it is served, or the deadline, or a cancel: it has left the line then. */
static int wait_in_line(struct weir_gate *gate, struct fiber_waiter *self, weir_nsec deadline)
{
	int code = 0;
	weir__gate_line_up(gate, &self->line);
	while (self->line.code == WEIR__IN_LINE && code != WEIR_ECANCELED) {
		weir_nsec opens = weir__gate_keeps(gate, &self->line);
		if (code == WEIR_ETIMEDOUT && !weir__earlier(weir_now(), deadline))
			break;
		self->waiter = (struct weir__waiter){.what = "gate"};
		code = weir__wait(NULL, &self->waiter, weir__earlier(opens, deadline) ? opens : deadline);
		if (code == WEIR_ETIMEDOUT && self->line.code == WEIR__IN_LINE &&
		    TAILQ_FIRST(&gate->line) == &self->line)
			weir__gate_hand_out(gate);
		if (weir__check_cancel()) /* also when it was woken before */
			code = WEIR_ECANCELED;
	}
	if (self->line.code != WEIR__IN_LINE)
		return self->line.code;
	weir__gate_step_out(gate, &self->line);
	return code;
}

static __attribute__((noinline)) int enter_later(struct weir_gate *gate, struct weir__pass *ret_pass,
						 weir_nsec deadline)
{
	struct fiber_waiter self = {.line.tell = tell_fiber};
	deadline = weir__deadline(deadline);
	if (deadline != WEIR_FOREVER && deadline <= weir_now())
		return WEIR_ETIMEDOUT;
	int code = wait_in_line(gate, &self, deadline);
	if (code == 0)
		*ret_pass = self.line.pass;
	return code;
}

int weir__gate_enter(struct weir_gate *gate, struct weir__pass *ret_pass, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	int code = weir__gate_try(gate, ret_pass);
	if (weir__likely(code != WEIR_EAGAIN) || deadline == WEIR_TRY)
		return code;
	return enter_later(gate, ret_pass, deadline);
}

/* The pass of a job whose history is of another gate, or of none yet.  One that is well here keeps what it has. */
static struct weir__pass begin_history(const struct weir_gate *gate, struct weir__pass pass, enum weir_outcome outcome)
{
	bool is_news = outcome != WEIR_OUTCOME_GOOD && outcome != WEIR_OUTCOME_RELEASED;
	if (is_news || !pass.history->gate)
		*pass.history = (struct weir_history){.gate = gate->number};
	else
		pass.history = NULL;
	return pass;
}

void weir__gate_leave(struct weir_gate *gate, const struct weir__pass *pass, enum weir_outcome outcome,
		      const struct weir_hint *hint)
{
	struct weir__pass other;
	weir__require(gate->in_flight > 0, WEIR_HERE, "weir__gate_leave() too often");
	gate->in_flight--;
	if (weir__unlikely(pass->history && pass->history->gate != gate->number)) {
		other = begin_history(gate, *pass, outcome);
		pass = &other;
	}
	weir__admit_leave(gate->admit, pass, outcome, hint, weir_now());
	if (!TAILQ_EMPTY(&gate->line))
		weir__gate_hand_out(gate);
}

weir_nsec weir__gate_knock(struct weir_gate *gate, struct weir_history *history)
{
	struct weir_history other = {.gate = gate->number};
	bool is_of_it = history->gate == gate->number;
	weir_nsec until = weir__admit_knock(gate->admit, is_of_it ? history : &other, weir_now());
	if (!history->gate)
		*history = other;
	return until;
}

/* ---- changes */

int weir__gate_set_concurrency(struct weir_gate *gate, size_t concurrency)
{
	int code = weir__admit_set_concurrency(gate->admit, concurrency);
	weir__gate_hand_out(gate);
	return code;
}

int weir__gate_set_rate(struct weir_gate *gate, const struct weir_rate_options *rate)
{
	int code = weir__admit_set_rate(gate->admit, rate, weir_now());
	weir__gate_hand_out(gate);
	return code;
}

void weir__gate_grant(struct weir_gate *gate, weir_nsec paid)
{
	weir__admit_grant(gate->admit, paid);
	weir__gate_hand_out(gate);
}

void weir__gate_shut(struct weir_gate *gate, weir_nsec until)
{
	weir__admit_shut(gate->admit, until, weir_now());
	weir__gate_hand_out(gate);
}

void weir__gate_share(struct weir_gate *gate, unsigned callers)
{
	weir__admit_share(gate->admit, callers);
	weir__gate_hand_out(gate);
}

void weir__gate_pause(struct weir_gate *gate, bool paused)
{
	weir__admit_pause(gate->admit, paused);
	weir__gate_hand_out(gate);
}

void weir__gate_pause_from(struct weir_gate *gate, weir_nsec at)
{
	weir__admit_pause_from(gate->admit, at);
	weir__gate_hand_out(gate);
}

/* Without memory for it things stay as they were found. */
void weir__gate_go_on_from(struct weir_gate *gate, size_t concurrency, double per_sec)
{
	weir__admit_go_on_from(gate->admit, concurrency, per_sec, weir_now());
	weir__gate_hand_out(gate);
}

void weir__gate_close(struct weir_gate *gate)
{
	gate->closed = true;
	weir__gate_hand_out(gate);
}

/* ---- looking at it */

weir_nsec weir__gate_shut_until(const struct weir_gate *gate)
{
	return weir__admit_shut_until(gate->admit, weir_now());
}

void weir_gate_stats(const struct weir_gate *gate, struct weir_gate_stats *ret_stats)
{
	weir__admit_stats(gate->admit, weir_now(), ret_stats);
	ret_stats->waiting = gate->waiting;
	ret_stats->said = gate->said;
}

void weir_gate_say(struct weir_gate *gate, const char *text)
{
	size_t n = strnlen(text, sizeof gate->said - 1);
	memcpy(gate->said, text, n);
	gate->said[n] = 0;
}

size_t weir__gate_limit(const struct weir_gate *gate)
{
	struct weir_gate_stats stats;
	weir_gate_stats(gate, &stats);
	return stats.limit;
}

uint64_t weir__gate_number(const struct weir_gate *gate)
{
	return gate->number;
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
	weir_nsec opens = gate->rejects ? stats.shut_until : weir__gate_shut_until(gate);
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
		[WEIR_HELD_BY_NOTHING] = "nothing",  [WEIR_HELD_BY_CONCURRENCY] = "concurrency limit",
		[WEIR_HELD_BY_RATE] = "rate limit",  [WEIR_HELD_BY_SERVER_RATE] = "the server's rate limit",
		[WEIR_HELD_BY_SHUT] = "Retry-After", [WEIR_HELD_BY_BREAKER] = "open circuit breaker",
		[WEIR_HELD_BY_PAUSE] = "pause",
	};
	return (unsigned)held_by < sizeof names / sizeof names[0] ? names[held_by] : "?";
}
