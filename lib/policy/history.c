/* SPDX-License-Identifier: MIT */
/*
 * Is it the job, or the upstream?  Calls are numbered as they are let in, so that "after" needs no clock: a good call
 * with a number over those that were known when the job failed began after that, and shows that the upstream works.
 *
 * Throttled.  A job that is throttled while others are served is throttled for itself, and that time counts.  When
 * nobody is served it may be the whole host: then the time of a job counts only if it is known that others were served
 * before (`served`), or if it is alone.  It is not alone while others come of which nothing is known either: each of
 * their refusals, and each time they stand before the shut gate, is one more in the `crowd`.  One that is alone is
 * also given the time that the server asked for.
 */
#include "policy/history.h"

static uint64_t *first_time(struct weir_history *history, enum weir_outcome outcome)
{
	return outcome == WEIR_OUTCOME_DENIED ? &history->denied : &history->failed;
}

bool weir__history_is_again(const struct weir_history *history, enum weir_outcome outcome)
{
	return outcome == WEIR_OUTCOME_DENIED ? history->denied : history->failed;
}

bool weir__history_is_suspect(const struct weir_history *history, enum weir_outcome outcome,
			      const struct weir__witness *witness)
{
	uint64_t first = outcome == WEIR_OUTCOME_DENIED ? history->denied : history->failed;
	return first && witness->good > first;
}

void weir__history_ended(struct weir_history *history, enum weir_outcome outcome, const struct weir__witness *witness)
{
	uint64_t *first = first_time(history, outcome);
	history->suspect = weir__history_is_suspect(history, outcome, witness);
	if (!*first)
		*first = witness->calls;
}

/* Whether others have come since the job was turned away last; now it is, once more. */
static bool join_crowd(struct weir_history *history, struct weir__witness *witness)
{
	bool is_alone = history->crowd == witness->crowd;
	if (history->served)
		return is_alone;
	witness->crowd++;
	if (is_alone)
		history->crowd = witness->crowd;
	return is_alone;
}

void weir__history_refused(struct weir_history *history, struct weir__witness *witness, weir_nsec hint, weir_nsec now)
{
	bool is_first = !history->refused;
	bool were_served = !is_first && witness->good > history->refused;
	history->served = history->served || were_served;
	bool is_alone = join_crowd(history, witness) && now >= history->word;
	if (!is_first && (were_served || is_alone))
		history->throttled += now - history->refused_at;
	history->refused = witness->calls;
	history->refused_at = now;
	history->crowd = witness->crowd;
	history->word = now + (hint < WEIR__WORD_MOST ? hint : WEIR__WORD_MOST);
}

/* Where a limit is met, too, a job may have bad luck for some seconds. */
bool weir__history_is_throttled_alone(const struct weir_history *history)
{
	return history->served && history->throttled >= 10 * WEIR_SEC;
}

void weir__history_knock(struct weir_history *history, struct weir__witness *witness)
{
	join_crowd(history, witness);
}
