/* SPDX-License-Identifier: MIT */
/*
 * Admission to one upstream: the gate (weir/gate.h) without the waiting.  Pure: `now` is a parameter, so that a
 * simulator can drive it as well as the gate does.
 *
 *     ask -> enter -> leave
 */
#ifndef POLICY_ADMIT_H
#define POLICY_ADMIT_H

#include <weir/gate.h>

struct weir__admit;

int weir__admit_new(const struct weir_gate_options *opts, struct weir__admit **ret_admit);
void weir__admit_free(struct weir__admit *admit);

/* The earliest time at which a call may be made: `now` or before, at once; WEIR_FOREVER: not before a call leaves or a
 * setting changes.  *ret_held_by (may be NULL) says what holds it back. */
weir_nsec weir__admit_ask(struct weir__admit *admit, weir_nsec now, enum weir_held_by *ret_held_by);

/* A call is made.  Contract: weir__admit_ask() is not later than now. */
void weir__admit_enter(struct weir__admit *admit, struct weir_pass *ret_pass, weir_nsec now);
void weir__admit_leave(struct weir__admit *admit, const struct weir_pass *pass, enum weir_outcome outcome,
		       const struct weir_told *told, weir_nsec now);

enum weir_breaker_state weir__admit_breaker(const struct weir__admit *admit, weir_nsec now);

/* For longer than this no good call: it is no outage any more, it is a server that does not work. */
#define WEIR__OUTAGE_MOST (24 * 3600 * WEIR_SEC)

/* Whether calls fail because the server is out: the breaker is not closed, and it was well not long ago. */
bool weir__admit_is_out(const struct weir__admit *admit, weir_nsec now);

/* Whether a pass that was not used yet may be: not if the gate was paused or shut, or its breaker changed, since. */
bool weir__admit_honours(const struct weir__admit *admit, const struct weir_pass *pass, weir_nsec now);
/* breaker.c: whether the permit is of the state that the breaker is in. */
bool weir__breaker_honours(const struct weir_breaker *breaker, struct weir_breaker_permit permit, weir_nsec now);

weir_nsec weir__admit_shut_until(const struct weir__admit *admit, weir_nsec now);

int weir__admit_set_concurrency(struct weir__admit *admit, size_t concurrency);
int weir__admit_set_rate(struct weir__admit *admit, const struct weir_rate_options *rate, weir_nsec now);
/* What is found goes on from this limit (0: as many as it may reach) and, if none was met yet, this rate (0: none).
 * WEIR_ENOMEM: it is as it was. */
int weir__admit_go_on_from(struct weir__admit *admit, size_t concurrency, double per_sec, weir_nsec now);
void weir__admit_pause(struct weir__admit *admit, bool paused);

/* All but `waiting`. */
void weir__admit_stats(const struct weir__admit *admit, weir_nsec now, struct weir_gate_stats *ret_stats);

#endif
