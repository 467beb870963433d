/* SPDX-License-Identifier: MIT */
/* The two halves of a pace: what the server tells, and what is found. */
#ifndef POLICY_PACE_H
#define POLICY_PACE_H

#include "policy/adapt.h"

/* Whoever came late may catch up by so much. */
#define WEIR__PACE_CATCH_UP (2 * WEIR_MSEC)
/* What is held to is by so much less than the estimate. */
#define WEIR__PACE_MARGIN 0.01
/* A climb is by so much over an estimate that is sure. */
#define WEIR__PACE_CLIMB_BY 0.04

/* A moment at which the server had nothing left: it refused this call. */
struct weir__pace_mark {
	weir_nsec at;     /* when it was sent */
	uint64_t number;  /* of the call */
	uint64_t refused; /* so many were, until then */
};

enum weir__pace_phase {
	WEIR__PACE_FREE,   /* nothing is held back: nothing was refused yet, or it is not about the rate */
	WEIR__PACE_SEARCH, /* something was; the rate is a guess that grows until the next refusal */
	WEIR__PACE_HOLD,   /* a little under the estimate */
	WEIR__PACE_CLIMB,  /* a little over it, until the tokens that were saved are used up */
	WEIR__PACE_TRIAL,  /* of a limit on the number at once instead of a rate */
	WEIR__PACE_RISE,   /* more was let through than the estimate allows: faster and faster */
	WEIR__PACE_TIGHT,  /* of a bucket without a burst each call tells on which side of the rate it is */
	WEIR__PACE_WINDOW, /* what is left of a fixed window is spread over its rest */
};

enum { WEIR__PACE_TRAIL = 8 };

struct weir__pace_found {
	enum weir__pace_phase phase;
	double estimate;     /* per s */
	double rate;         /* held to, per s; 0: none */
	double step;         /* of the rise */
	double before_rise;  /* the estimate */
	double proven;       /* rate that was held to for a while; 0: none */
	bool overflowed;     /* the search began anew because of `slowest` */
	double slowest;      /* rate since the mark */
	double flight_calls; /* of the flight that an estimate was made from */
	unsigned points;     /* of the trail: where the rate changed since the last reaction */
	struct weir__pace_mark trail[WEIR__PACE_TRAIL];
	weir_nsec step_at; /* when the phase takes its next step */
	unsigned sure;     /* climbs that ended as expected, in a row */
	bool marked;
	struct weir__pace_mark mark;
	struct weir__pace_mark flight_mark; /* the first of the last flight */
	uint64_t flight;                    /* calls up to this number were under way at the last reaction */
	unsigned vain;                      /* refusals in a row with next to nothing let through between */
	double calls;                       /* let through between the mark and the last reaction */
	unsigned soon;                      /* refusals of HOLD that came too soon to tell a rate */
	double latency;                     /* of calls that were let in, ns */
	weir_nsec delay;                    /* of refusals */
	weir_nsec lost;                     /* shut since the mark */
	weir_nsec cost;                     /* time that the last refusal shut for */
	weir_nsec begun;
	uint64_t first_flight;             /* calls until the first reaction; 0: they are counted */
	double climb_calls, climb_seconds; /* the last climb */
	double burst;                      /* so many at once; 0: unknown */
	bool knows_burst, goes_on;         /* goes_on: the burst is assumed, the estimate is an earlier run's */
	double run_calls, run_seconds;     /* from a full bucket to an empty one: so many in so long */
	/* what tells a limit on the number at once from one on the rate */
	uint64_t let_in;                  /* since the last reaction */
	uint64_t evidence_from;           /* calls up to this number say nothing */
	size_t most_in;                   /* most that were under way, and let in */
	size_t least_out;                 /* fewest that were when one was refused; 0: none was */
	weir_nsec first_out;              /* when that was known for the first time */
	uint64_t back;                    /* calls that were let in meanwhile, and have ended */
	unsigned news;                    /* so often */
	unsigned strikes, strikes_needed; /* refusals of HOLD, which there should be none of */
	weir_nsec next_strike;
	size_t fewest;   /* calls under way at any of them */
	unsigned trials; /* that were in vain */
	weir_nsec trial_from, trial_length;
	uint64_t trial_calls, trial_refused;
	double trial_rate, trial_before; /* that must be reached, and that was held to, per s */
	bool blames;
};

/* The calls that were under way when it came as news that one of them was refused. */
struct weir__pace_flight {
	weir_nsec at;
	uint64_t first, last;        /* numbers: of the first that was refused, of the last one under way */
	size_t calls, refused, back; /* back: let in, and ended */
};

/* The number at once, where it is what calls are refused for. */
struct weir__pace_number {
	size_t most;               /* at once; 0: any number */
	size_t fine;               /* so many were let in, all of a turn */
	size_t goal;               /* of a probe: it grows by a call at a time */
	size_t step;               /* of the next probe */
	uint64_t sent;             /* calls after this one are of the number as it is now */
	uint64_t calls;            /* so many of them were let in */
	bool reached;              /* as many were under way as may be */
	uint64_t rest;             /* calls that are to be let in before the next probe */
	weir_nsec soonest, latest; /* of the next probe */
	unsigned turns;            /* that were let in since the last fall */
	unsigned falls;            /* that followed one another soon */
};

struct weir__pace_hint {
	bool is_hinted;
	double per_sec; /* 0: none */
	double quota;   /* most in a window; 0: unknown */
	weir_nsec window, reset_at;
	double left;     /* of the window; counts down */
	double least;    /* that the server stated to be left in it */
	uint64_t newest; /* call whose answer stated it */
	bool counts, in_bursts_no;
	double share; /* of what it stated that it really lets through */
};

/* When calls were let in again. */
struct weir__pace_end {
	weir_nsec lo, hi; /* it was not before, not after */
	weir_nsec at;     /* that was known */
	uint64_t number;  /* of the first call that was let in */
	uint64_t refused; /* so many were, until then */
};

struct weir__pace_window {
	/* the drought there is, or the last one */
	bool is_dry;
	uint64_t number;      /* of the first call that was refused */
	weir_nsec from, last; /* the first and the last refused ones were sent */
	weir_nsec until;      /* it lasts at least */
	weir_nsec hint;       /* it lasts at most */
	uint64_t last_number; /* of the last one that was refused */
	weir_nsec end;        /* of the last drought */
	/* what is searched for */
	struct weir__pace_end begin; /* of the last long one */
	bool suspects;               /* a window; so many calls are expected in it */
	double expected;
	unsigned doubts;   /* it was not as expected */
	weir_nsec least;   /* its length; shorter ones were refuted */
	weir_nsec refuted; /* the last one that was */
	/* what is known */
	double quota;
	weir_nsec length;
	weir_nsec at, blur;          /* the window began then, or up to `blur` earlier */
	struct weir__pace_end first; /* of its calls */
	double budget, carry;        /* of calls; what the last one left */
	uint64_t flight;             /* calls up to this number were under way at the last reaction */
	double dry_calls;            /* let in before the drought */
	bool is_late;                /* it began when the window did, or a little later */
	unsigned strikes;            /* droughts that did not end with a window, in a row */
	bool is_test, has_passed;    /* it is tried whether the quota is higher; the last one was, and it is */
	double before_test, step;
	unsigned looks; /* tests that may be made only to see where a window ends */
	weir_nsec next_test;
};

struct weir__pace_tight {
	double lo, hi;       /* rates that were let in, and not; 0: unknown */
	uint64_t from;       /* calls after this number are sent at the rate there is */
	double calls;        /* of them that were let in */
	double since;        /* the last refusal, let in */
	double step, block;  /* by which it rises, after so many */
	double cut;          /* by which it falls */
	unsigned calm, soon; /* rises without a refusal; refusals after a few calls, in a row */
};

struct weir__pace {
	struct weir__pace_options options;
	uint64_t random;
	uint64_t sent, ended, refused;
	weir_nsec at; /* the next may go */
	weir_nsec shut;
	weir_nsec asked;       /* the server said to come back then, or after `longest` */
	weir_nsec recent_from; /* how fast calls go out: so many since */
	uint64_t recent_sent;
	double recent; /* per s */
	struct weir__pace_found found;
	struct weir__pace_flight flight;
	struct weir__pace_number number;
	struct weir__pace_hint hint;
	struct weir__pace_window window;
	struct weir__pace_tight tight;
	unsigned callers; /* of the upstream, this one among them: what the server states is for all of them */
};

/* What was let through between two refusals. */
struct weir__pace_span {
	double calls, time; /* all of it, s */
	double open;        /* s without the time that it was shut */
};

/* So many of `calls` under way are in the network. */
static inline double weir__pace_in_network(const struct weir__pace_found *found, double calls)
{
	double share = found->latency > 0 ? (double)found->delay / found->latency : 1;
	return share < 1 ? calls * share : calls;
}

/* A call was refused, to come back `after` this time (0: not stated), or was not. */
void weir__pace_refused(struct weir__pace *pace, const struct weir__sample *sample, weir_nsec after);
void weir__pace_let_in(struct weir__pace *pace, const struct weir__sample *sample);
/* The rate worth keeping for the next run; 0: none. */
double weir__pace_snapshot(const struct weir__pace *pace);
/* Holds to this rate until it knows better. */
void weir__pace_go_on_from(struct weir__pace *pace, double per_sec);
/* Whether it is shut because the server said when to come back. */
bool weir__pace_is_asked(const struct weir__pace *pace, weir_nsec now);
/* The server has asked somebody not to come before `until`. */
void weir__pace_ask(struct weir__pace *pace, weir_nsec until, weir_nsec now);
/* Time goes by. */
void weir__pace_advance(struct weir__pace *pace, weir_nsec now);

/* ---- what two refusals tell (pace_span.c) */

struct weir__pace_span weir__pace_span_since(const struct weir__pace *pace, const struct weir__pace_mark *mark,
					     const struct weir__sample *sample);
struct weir__pace_span weir__pace_since_mark(const struct weir__pace *pace, const struct weir__sample *sample);
/* Whether it is long enough to tell a rate. */
bool weir__pace_is_enough(const struct weir__pace_span *span);
/* So many at once, as the run from a full bucket to an empty one tells, at this rate. */
double weir__pace_burst_of(const struct weir__pace_found *found, double rate);
/* Whether it is not the burst alone that it tells of. */
bool weir__pace_is_more_than_burst(const struct weir__pace_found *found, const struct weir__pace_span *span);
double weir__pace_rate_of(const struct weir__pace_found *found, const struct weir__pace_span *span);
/* The highest rate, over any stretch since the last reaction, that a burst does not explain; `least` at least. */
double weir__pace_rate_of_trail(const struct weir__pace *pace, const struct weir__sample *sample, double least);

/* ---- phases (pace_phase.c) */

/* `wait`: s until its next step. */
void weir__pace_enter(struct weir__pace *pace, enum weir__pace_phase phase, double rate, double wait, weir_nsec now);
/* Keeps to the estimate. */
void weir__pace_hold(struct weir__pace *pace, weir_nsec now);
/* Begins anew, from this rate upwards; then its next step. */
void weir__pace_search(struct weir__pace *pace, double rate, weir_nsec now);
void weir__pace_search_on(struct weir__pace *pace, weir_nsec now);
/* The bucket is empty, and calls do not arrive as evenly as they are sent: a few tokens are left in it. */
void weir__pace_cushion(struct weir__pace *pace, weir_nsec now);
/* s until the next step of what grows, `least` at least. */
double weir__pace_step_time(const struct weir__pace_found *found, double least);

/* ---- a bucket of one token? (pace_tight.c) */

bool weir__pace_is_tight(const struct weir__pace *pace);
void weir__pace_tighten(struct weir__pace *pace, weir_nsec now);
/* In TIGHT. */
void weir__pace_tight_refused(struct weir__pace *pace, const struct weir__sample *sample);
void weir__pace_tight_let_in(struct weir__pace *pace, const struct weir__sample *sample);

/* ---- a fixed window? (pace_window.c) */

/* Returns whether the refusal is dealt with.  `after`: Retry-After, 0: none. */
bool weir__pace_window_refused(struct weir__pace *pace, const struct weir__sample *sample, weir_nsec after);
void weir__pace_window_let_in(struct weir__pace *pace, const struct weir__sample *sample);
/* When nothing is let in: how long to wait before trying again. */
weir_nsec weir__pace_probe_after(const struct weir__pace *pace);
/* In WINDOW: a call is sent, which is the last that pace->sent counts. */
void weir__pace_spread(struct weir__pace *pace, weir_nsec now);

/* ---- about the rate, or about the number at once? (pace_trial.c) */

/* Whether those that were refused had more under way than those that were let in, as far as is known. */
bool weir__pace_is_apart(const struct weir__pace *pace);
/* Refused, and not in a trial.  Returns whether one begins. */
bool weir__pace_suspect(struct weir__pace *pace, const struct weir__sample *sample, const struct weir__pace_span *span);
/* Returns whether it was in vain, and that tells of the rate. */
bool weir__pace_refused_in_trial(struct weir__pace *pace, const struct weir__sample *sample);
void weir__pace_let_in_trial(struct weir__pace *pace, const struct weir__sample *sample);
/* Refused though it is blamed: if no longer those that have more under way, it is the limit that fell, or it was about
 * the rate after all. */
void weir__pace_doubt(struct weir__pace *pace, const struct weir__sample *sample);

/* ---- the number at once (pace_number.c) */

/* How many were under way when a call was refused, or let in. */
void weir__pace_number_note(struct weir__pace *pace, const struct weir__sample *sample);
void weir__pace_number_begin(struct weir__pace *pace, size_t most);
void weir__pace_number_refused(struct weir__pace *pace, const struct weir__sample *sample);
void weir__pace_number_let_in(struct weir__pace *pace, const struct weir__sample *sample);

#endif
