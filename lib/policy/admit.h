/* SPDX-License-Identifier: MIT */
/*
 * Admission to one upstream: the gate (weir/gate.h) without the waiting.  Pure: `now` is a parameter, so that a
 * simulator can drive it as well as the gate does.
 *
 *     ask -> enter -> leave
 */
#ifndef POLICY_ADMIT_H
#define POLICY_ADMIT_H

#include "policy/adapt.h"

#include <weir/gate.h>

struct weir__gate_options {
	size_t concurrency;               /* calls at once; 0: found */
	struct weir__adapt_options adapt; /* how it is found */
	struct weir_rate_options rate;    /* one's own; count 0: none */
	struct weir_breaker_options breaker;
	unsigned flags;
	weir_nsec longest;              /* most that a server's "come back later" counts for; 0: 5 min */
	struct weir_snapshot snapshot;  /* from an earlier run */
	void (*rate_wanted)(void *arg); /* as in weir_policy_options */
	void *rate_arg;
	uint64_t seed;
};

/* From enter to leave. */
struct weir__pass {
	weir_nsec entered;                 /* when it was let in */
	size_t in_flight;                  /* calls under way then, it among them */
	uint64_t number;                   /* of the call, from 1 */
	struct weir_breaker_permit permit; /* without a breaker all zero */
	struct weir_history *history;      /* of the job; for the caller to set before it leaves.  NULL: none is kept */
};

struct weir__admit;

int weir__admit_new(const struct weir__gate_options *opts, struct weir__admit **ret_admit);
void weir__admit_free(struct weir__admit *admit);

/* The earliest time at which a call may be made: `now` or before, at once; WEIR_FOREVER: not before a call leaves or a
 * setting changes.  *ret_held_by (may be NULL) says what holds it back. */
weir_nsec weir__admit_ask(struct weir__admit *admit, weir_nsec now, enum weir_held_by *ret_held_by);

/* A call is made.  Contract: weir__admit_ask() is not later than now. */
void weir__admit_enter(struct weir__admit *admit, struct weir__pass *ret_pass, weir_nsec now);
void weir__admit_leave(struct weir__admit *admit, const struct weir__pass *pass, enum weir_outcome outcome,
		       const struct weir_hint *hint, weir_nsec now);

enum weir_breaker_state weir__admit_breaker(const struct weir__admit *admit, weir_nsec now);

/* weir__gate_knock(). */
weir_nsec weir__admit_knock(struct weir__admit *admit, struct weir_history *history, weir_nsec now);

/* After so long without a successful call an outage counts as permanent. */
#define WEIR__OUTAGE_MOST (24 * 3600 * WEIR_SEC)

/* Whether calls fail because the server is out: the breaker is not closed, and it was well not long ago, or the
 * breaker is open for denied calls, which time does not change. */
bool weir__admit_is_out(const struct weir__admit *admit, weir_nsec now);

/* Whether a pass that was not used yet may be: not if the gate was paused or shut, or its breaker changed, since. */
bool weir__admit_honours(const struct weir__admit *admit, const struct weir__pass *pass, weir_nsec now);
/* breaker.c: whether the permit is of the state that the breaker is in. */
bool weir__breaker_honours(const struct weir_breaker *breaker, struct weir_breaker_permit permit, weir_nsec now);
/* breaker.c: until when its probes are for jobs that have not failed before; 0: it is closed. */
weir_nsec weir__breaker_fresh_until(const struct weir_breaker *breaker, weir_nsec now);

weir_nsec weir__admit_shut_until(const struct weir__admit *admit, weir_nsec now);

int weir__admit_set_concurrency(struct weir__admit *admit, size_t concurrency);
int weir__admit_set_rate(struct weir__admit *admit, const struct weir_rate_options *rate, weir_nsec now);
/* What is found goes on from this limit (0: as many as it may reach) and, if none was met yet, this rate (0: none).
 * WEIR_ENOMEM: it is as it was. */
int weir__admit_go_on_from(struct weir__admit *admit, size_t concurrency, double per_sec, weir_nsec now);
void weir__admit_pause(struct weir__admit *admit, bool paused);
void weir__admit_pause_from(struct weir__admit *admit, weir_nsec at); /* WEIR_FOREVER: never */
/* What others have heard: weir_policy_shut(), weir_policy_share(). */
void weir__admit_shut(struct weir__admit *admit, weir_nsec until, weir_nsec now);
void weir__admit_share(struct weir__admit *admit, unsigned callers);

/* One's own rate is let through only as far as it is granted from now on; it goes on from `paid`. */
void weir__admit_keep_rate(struct weir__admit *admit, weir_nsec paid, weir_nsec now);
void weir__admit_grant(struct weir__admit *admit, weir_nsec paid);
/* Whether a call waits for more, or the next one will. */
bool weir__admit_wants_rate(const struct weir__admit *admit);

/* All but `waiting`. */
void weir__admit_stats(const struct weir__admit *admit, weir_nsec now, struct weir_gate_stats *ret_stats);

#endif
