/* SPDX-License-Identifier: MIT */
/*
 * What became of a call to an upstream, in the words that breakers, limits and gates share.
 */
#ifndef WEIR_OUTCOME_H
#define WEIR_OUTCOME_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_outcome {
	WEIR_OUTCOME_GOOD,      /* it answered, if only "that does not exist" */
	WEIR_OUTCOME_FAILED,    /* it failed: a server error, no connection, a truncated answer */
	WEIR_OUTCOME_TIMED_OUT, /* it did not answer in time */
	WEIR_OUTCOME_THROTTLED, /* the server asked to come back later: a limit, no failure */
	WEIR_OUTCOME_RELEASED,  /* nothing was learnt of it: cancelled, or never sent */
	WEIR_OUTCOME_ERROR,     /* it answered that it failed, which may be the fault of this call alone */
	WEIR_OUTCOME_DENIED,    /* it answered that this caller may not do that: the credentials, or this call alone */
};

enum { WEIR_OUTCOMES = WEIR_OUTCOME_DENIED + 1 };

/* What an answer stated about the server's limits.  All zero: nothing. */
struct weir_hint {
	weir_nsec retry_after; /* come back after this time; 0: not stated */
	uint64_t quota;        /* requests in each window; 0: not stated */
	weir_nsec window;      /* its length; 0: not stated */
	bool counts;           /* the next two were stated */
	uint64_t left;         /* requests that may still come … */
	weir_nsec reset;       /* … before the count starts again, after this time */
};

#ifdef __cplusplus
}
#endif
#endif
