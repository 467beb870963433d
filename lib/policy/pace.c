/* SPDX-License-Identifier: MIT */
/*
 * The rate that a server lets through.
 */
#include <stdlib.h>
#include <weir/adapt.h>

struct weir_pace {
	struct weir_pace_options options;
	double per_sec; /* 0: none */
	weir_nsec at;   /* the next may go */
	weir_nsec shut;
	weir_nsec reacted; /* calls sent before are of an old flight */
	bool told;
};

int weir_pace_new(const struct weir_pace_options *opts, struct weir_pace **ret_pace)
{
	struct weir_pace *pace = calloc(1, sizeof *pace);
	if (!pace)
		return WEIR_ENOMEM;
	pace->options = *opts;
	if (!pace->options.longest)
		pace->options.longest = 300 * WEIR_SEC;
	pace->per_sec = opts->per_sec;
	*ret_pace = pace;
	return 0;
}

void weir_pace_free(struct weir_pace *pace)
{
	free(pace);
}

weir_nsec weir_pace_next(const struct weir_pace *pace, weir_nsec now)
{
	weir_nsec at = pace->at > pace->shut ? pace->at : pace->shut;
	return at > now ? at : now;
}

void weir_pace_sent(struct weir_pace *pace, weir_nsec now)
{
	if (pace->per_sec > 0)
		pace->at = (pace->at > now ? pace->at : now) + (weir_nsec)(1e9 / pace->per_sec);
}

void weir_pace_add(struct weir_pace *pace, const struct weir_sample *sample, const struct weir_told *told)
{
	weir_nsec after = told ? told->retry_after : 0;
	if (after > pace->options.longest)
		after = pace->options.longest;
	if (after > 0 && sample->ended + after > pace->shut)
		pace->shut = sample->ended + after;
	if (pace->options.unpaced)
		return;
	if (sample->outcome == WEIR_OUTCOME_THROTTLED && sample->started >= pace->reacted) {
		pace->reacted = sample->ended;
		pace->per_sec = pace->per_sec > 0 ? pace->per_sec * 0.8 : 100;
	} else if (sample->outcome == WEIR_OUTCOME_GOOD && pace->per_sec > 0) {
		pace->per_sec += 0.1;
	}
}

weir_nsec weir_pace_shut_until(const struct weir_pace *pace, weir_nsec now)
{
	return pace->shut > now ? pace->shut : 0;
}

double weir_pace_per_sec(const struct weir_pace *pace)
{
	return pace->per_sec;
}

bool weir_pace_is_told(const struct weir_pace *pace)
{
	return pace->told;
}

bool weir_pace_blames_concurrency(const struct weir_pace *pace)
{
	(void)pace;
	return false;
}
