/* SPDX-License-Identifier: MIT */
/*
 * The gate before one upstream: everything that says whether another call may be made to it now.
 *
 *     concurrency          a number, or found
 *     rate                 one's own (rate.h), and the server's, stated or found
 *     shut until           the server said "come back later": all calls wait, not only the one that was refused
 *     circuit breaker      breaker.h
 *
 * A policy (process.h) has one for each upstream, and its calls and jobs pass them.  Here is what they show, and what
 * is kept of them.  docs/flow.md describes how limits are found.
 */
#ifndef WEIR_GATE_H
#define WEIR_GATE_H

#include <weir/breaker.h>
#include <weir/outcome.h>
#include <weir/rate.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_gate;

/* What is worth keeping of a gate for the next run.  All zero: nothing is known. */
struct weir_snapshot {
	double limit;          /* concurrent calls */
	double per_sec;        /* 0: no rate limit was met */
	weir_nsec min_latency; /* latency without queueing */
	weir_nsec paid;        /* one's own rate: when all that passed it is paid off (weir_rate_paid) */
};

enum weir_gate_flags {
	WEIR_GATE_NO_BREAKER = 1u << 0,
	WEIR_GATE_REJECT = 1u << 1,  /* with the breaker open enter returns WEIR_EOPEN, else it waits */
	WEIR_GATE_UNPACED = 1u << 2, /* no rate is searched for; "come back later" still shuts it */
};

/* How a job has fared at a gate, from one of its calls to the next: the job's to keep, all zero at first, its fields
 * are the library's.  It is of one gate; another one where the job fails begins it again.
 *
 * With it the gate distinguishes a job that always fails from an upstream that is down: the failures of a job say
 * nothing any more once calls have succeeded that began after it had failed. */
struct weir_history {
	uint64_t gate;        /* its number; 0: none */
	uint64_t failed;      /* calls it had let in when the job first failed; 0: it did not */
	uint64_t denied;      /* the same of when it was first denied */
	uint64_t refused;     /* the same of when it was throttled last */
	uint64_t crowd;       /* others that it had turned away by then */
	weir_nsec refused_at; /* … when that was */
	weir_nsec word;       /* … and until when the server asked it to stay away */
	weir_nsec throttled;  /* so long it has been throttled while others were served, or while there were none */
	bool served;          /* others were served between its refusals */
	bool suspect;         /* its last failure said nothing about the upstream */
};

/* What its last failure said, for those who look at it (stats.said): one line, cut to 127 bytes. */
WEIR_API void weir_gate_say(struct weir_gate *gate, const char *text);

/* What holds back the call that would be next. */
enum weir_held_by {
	WEIR_HELD_BY_NOTHING,
	WEIR_HELD_BY_CONCURRENCY, /* as many as may be are under way */
	WEIR_HELD_BY_RATE,        /* one's own rate */
	WEIR_HELD_BY_SERVER_RATE, /* the server's, stated or found */
	WEIR_HELD_BY_SHUT,        /* the server said "come back later" */
	WEIR_HELD_BY_BREAKER,
	WEIR_HELD_BY_PAUSE,
};

struct weir_gate_stats {
	size_t limit, in_flight, waiting;
	bool adaptive;        /* the limit is found */
	double per_sec;       /* the rate it holds to: the lower of one's own and the server's; 0: none */
	bool hinted;          /* the server's, and the server stated it */
	weir_nsec shut_until; /* 0: not shut */
	bool shut_hinted;     /* … because the server said when to come back */
	enum weir_breaker_state breaker;
	weir_nsec breaker_until; /* of open: when it half-opens; else 0 */
	uint64_t breaker_opened;
	unsigned denied,
		denied_of;      /* it is not closed because so many of the last so many calls were denied; 0: not so */
	weir_nsec denied_since; /* … since then */
	weir_nsec well_at;      /* the last good call ended, or else the first began; 0: there was none */
	bool is_throttled;      /* the last call that ended was */
	weir_nsec word;         /* until when the server said to stay away, however long that is; 0: it did not */
	weir_nsec min_latency;  /* latency without queueing; 0: unknown */
	uint64_t calls;         /* that entered; the others have left */
	uint64_t good, failed, timed_out, throttled, released; /* failed: ERRORs, too; good: DENIED, too */
	enum weir_held_by held_by;
	struct weir_rate_options own; /* one's own rate; count 0: none */
	weir_nsec granted;            /* of one's own rate (weir_policy_grant); WEIR_FOREVER: all */
	bool is_wanting;              /* a call waits for more of it */
	const char *said;             /* what its last failure said (weir_gate_say); "": nothing */
	struct weir_snapshot snapshot;
};
WEIR_API void weir_gate_stats(const struct weir_gate *gate, struct weir_gate_stats *ret_stats);

WEIR_API const char *weir_held_by_name(enum weir_held_by held_by); /* "nothing", "concurrency limit", "rate limit", … */

#ifdef __cplusplus
}
#endif
#endif
