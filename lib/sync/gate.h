/* SPDX-License-Identifier: MIT */
/*
 * The line before a gate, for those who wait in it without a fiber: process.c.
 *
 *     gate -> first -> second -> ...        served from the head only
 *               |
 *               keeps the time: when the gate opens by time alone (a rate, a pause told by the server, a breaker), it
 *               calls weir__gate_hand_out() then
 *
 * Whoever is served is charged in that moment and out of the line, so nothing that comes later can take it back.  One
 * that steps out as first makes the next one first, and so the keeper of the time.
 */
#ifndef SYNC_GATE_H
#define SYNC_GATE_H

#include "rt/fiber.h"

#include <weir/gate.h>

enum { WEIR__IN_LINE = 1 };

struct weir__gate_waiter {
	struct weir__gate_waiter *next, *prev;
	/* It was served (code is no longer WEIR__IN_LINE), or it is first now and the gate opens by time.  Must not
	 * suspend, nor touch the line. */
	void (*tell)(struct weir__gate_waiter *waiter);
	weir_nsec since; /* of one with a name */
	int code;        /* 0: let in, with the pass; WEIR_EOPEN: turned away */
	struct weir_pass pass;
};

/* Enters if that needs no waiting: 0, WEIR_EOPEN or WEIR_EAGAIN. */
int weir__gate_try(struct weir_gate *gate, struct weir_pass *ret_pass);

/* Joins the line; its fields but `tell` are filled in.  It may be told at once. */
void weir__gate_line_up(struct weir_gate *gate, struct weir__gate_waiter *waiter);

/* Leaves the line, not having been served. */
void weir__gate_step_out(struct weir_gate *gate, struct weir__gate_waiter *waiter);

/* Whether a pass that was got in the line and not used yet is still good: not if the gate was shut meanwhile. */
bool weir__gate_honours(const struct weir_gate *gate, const struct weir_pass *pass);

/* When whoever is first is to hand out; WEIR_FOREVER: not by time, or it is not the first. */
weir_nsec weir__gate_keeps(const struct weir_gate *gate, const struct weir__gate_waiter *waiter);

/* Lets in whom it may. */
void weir__gate_hand_out(struct weir_gate *gate);

/* How many may be inside at once, now. */
size_t weir__gate_limit(const struct weir_gate *gate);
size_t weir__gate_in_flight(const struct weir_gate *gate);

/* Its found limits go on from these; 0: from all at once, from no rate. */
void weir__gate_go_on_from(struct weir_gate *gate, size_t concurrency, double per_sec);

/* Who keeps it: a policy. */
void weir__gate_set_owner(struct weir_gate *gate, void *owner);
void *weir__gate_owner(const struct weir_gate *gate);

/* Whether a call that ended badly now is excused by its gate, which is shut or whose breaker is not closed; *ret_opens:
 * until when, 0 if that is not known.  Where the policy is to reject while the breaker is open, that excuses nobody. */
bool weir__gate_excuses(const struct weir_gate *gate, weir_nsec *ret_opens);

/* Whether the next call is one with which the breaker finds out whether it can close. */
bool weir__gate_probes(const struct weir_gate *gate);

#endif
