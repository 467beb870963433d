/* SPDX-License-Identifier: MIT */
/*
 * The gate before one upstream (weir/gate.h).
 *
 *     struct weir__pass pass;
 *     int code = weir__gate_enter(gate, &pass, deadline);
 *     if (code == 0) {
 *             ... the call ...
 *             weir__gate_leave(gate, &pass, WEIR_OUTCOME_GOOD, NULL);
 *     }
 *
 * Fair: first come, first served.  Who waits is charged when it is let in, so giving up costs nothing.
 *
 * The line before a gate is also for those who wait in it without a fiber (upstream_queue.c):
 *
 *     gate -> first -> second -> ...        served from the head only
 *               |
 *               keeps the time: when the gate opens by time alone (a rate, a pause asked for by the server, a breaker),
 * it calls weir__gate_hand_out() then
 *
 * Whoever is served is charged in that moment and out of the line, so nothing that comes later can take it back.  One
 * that steps out as first makes the next one first, and so the keeper of the time.
 */
#ifndef SYNC_GATE_H
#define SYNC_GATE_H

#include "policy/admit.h"
#include "rt/fiber.h"

int weir__gate_new(const struct weir__gate_options *opts, struct weir_gate **ret_gate); /* EINVAL, ENOMEM, EBUSY */

/* Nobody is inside or waits.  NULL is fine. */
void weir__gate_free(struct weir_gate *gate);

/* Suspends until a call may be made.  WEIR_EOPEN (see WEIR_GATE_REJECT), WEIR_ECLOSED, WEIR_EAGAIN, WEIR_ETIMEDOUT,
 * WEIR_ECANCELED: then it is not entered. */
int weir__gate_enter(struct weir_gate *gate, struct weir__pass *ret_pass, weir_nsec deadline);

/* The call has ended; hint may be NULL.  Once for each enter.  Does not suspend. */
void weir__gate_leave(struct weir_gate *gate, const struct weir__pass *pass, enum weir_outcome outcome,
		      const struct weir_hint *hint);

/* Until when nobody is let in, whoever leaves: shut, breaker open, or paused (WEIR_FOREVER).  0: it is open, if not for
 * everybody at once.  For those who would rather do something else than wait. */
weir_nsec weir__gate_shut_until(const struct weir_gate *gate);

/* ---- changes while it is in use; for those who wait, too.  None suspends. */

int weir__gate_set_concurrency(struct weir_gate *gate, size_t concurrency);            /* 0: found.  ENOMEM */
int weir__gate_set_rate(struct weir_gate *gate, const struct weir_rate_options *rate); /* count 0: none.  EINVAL */
void weir__gate_pause(struct weir_gate *gate, bool paused); /* nobody is let in while it is */
void weir__gate_pause_from(struct weir_gate *gate, weir_nsec at);
/* What others have heard: weir_policy_shut(), weir_policy_share(). */
void weir__gate_shut(struct weir_gate *gate, weir_nsec until);
void weir__gate_share(struct weir_gate *gate, unsigned callers);

/* Calls may be let in as long as what has passed one's own rate is paid off by then (weir_rate_paid): see rate_wanted.
 * It never becomes less. */
void weir__gate_grant(struct weir_gate *gate, weir_nsec paid);

/* For good: who waits, and who comes, is answered WEIR_ECLOSED.  Calls inside go on to their end. */
void weir__gate_close(struct weir_gate *gate);

/* ---- the line */

enum { WEIR__IN_LINE = 1 };

struct weir__gate_waiter {
	TAILQ_ENTRY(weir__gate_waiter) others;
	/* It was served (code is no longer WEIR__IN_LINE), or it is first now and the gate opens by time.  Must not
	 * suspend, nor touch the line. */
	void (*tell)(struct weir__gate_waiter *waiter);
	int code; /* 0: let in, with the pass; WEIR_EOPEN: turned away */
	struct weir__pass pass;
};

/* Enters if that needs no waiting: 0, WEIR_EOPEN or WEIR_EAGAIN. */
int weir__gate_try(struct weir_gate *gate, struct weir__pass *ret_pass);

/* Joins the line; its fields but `tell` are filled in.  It may be told at once. */
void weir__gate_line_up(struct weir_gate *gate, struct weir__gate_waiter *waiter);

/* Leaves the line, not having been served. */
void weir__gate_step_out(struct weir_gate *gate, struct weir__gate_waiter *waiter);

/* Whether a pass that was got in the line and not used yet is still good: not if the gate was shut meanwhile. */
bool weir__gate_honours(const struct weir_gate *gate, const struct weir__pass *pass);

/* When whoever is first is to hand out; WEIR_FOREVER: not by time, or it is not the first. */
weir_nsec weir__gate_keeps(const struct weir_gate *gate, const struct weir__gate_waiter *waiter);

/* Lets in whom it may. */
void weir__gate_hand_out(struct weir_gate *gate);

/* How many may be inside at once, now. */
size_t weir__gate_limit(const struct weir_gate *gate);

/* Its found limits go on from these; 0: from all at once, from no rate. */
void weir__gate_go_on_from(struct weir_gate *gate, size_t concurrency, double per_sec);

/* Which no other gate has: for a history. */
uint64_t weir__gate_number(const struct weir_gate *gate);

/* Who keeps it: a policy. */
void weir__gate_set_owner(struct weir_gate *gate, void *owner);
void *weir__gate_owner(const struct weir_gate *gate);

/* Whether a call that ended badly now is excused by its gate, which is shut or whose breaker is not closed; *ret_opens:
 * until when, 0 if that is not known.  Where the policy is to reject while the breaker is open, that excuses nobody. */
bool weir__gate_excuses(const struct weir_gate *gate, weir_nsec *ret_opens);

/* weir__gate_shut_until() for a job with a history: one that has failed here before leaves the first probes of a
 * half-open breaker to others.  Notes that the job came: one that is throttled is not given up while others stand
 * before a shut gate. */
weir_nsec weir__gate_knock(struct weir_gate *gate, struct weir_history *history);

/* Whether its breaker is not closed: the next call is one with which that finds out whether it can close. */
bool weir__gate_probes(const struct weir_gate *gate);

#endif
