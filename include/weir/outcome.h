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
	WEIR_OUTCOME_FAILED,    /* it failed: an error of its own, no connection, an answer cut off */
	WEIR_OUTCOME_TIMED_OUT, /* it did not answer in time */
	WEIR_OUTCOME_THROTTLED, /* it said "too much, come back later": a limit, no failure */
	WEIR_OUTCOME_RELEASED,  /* nothing was learnt of it: cancelled, or never sent */
};

/* What an answer told of the server's limits.  All zero: nothing. */
struct weir_told {
	weir_nsec retry_after; /* come back after this time; 0: not told */
	uint64_t quota;        /* requests in each window; 0: not told */
	weir_nsec window;      /* its length; 0: not told */
	bool counts;           /* the next two were told */
	uint64_t left;         /* requests that may still come … */
	weir_nsec reset;       /* … before the count starts anew, after this time */
};

#ifdef __cplusplus
}
#endif
#endif
