/* SPDX-License-Identifier: MIT */
/*
 * stop_when: a run that makes nothing but dead letters ends, before it has made a mountain of them.
 *
 * Items are counted as they leave their workers: to wait for the commits would let hundreds more die.  Of the last
 * ones a bit each says whether it is dead, in a ring.
 */
#include "engine/parts.h"

#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

enum { BITS = 64 };

int engine_left_open(struct engine_left *left, struct engine_life *life)
{
	left->life = life;
	size_t last = (size_t)life->plan->settings.stop_of_last;
	if (life->plan->settings.stop_dead <= 0 || !last)
		return 0;
	left->ring = calloc((last + BITS - 1) / BITS, sizeof *left->ring);
	return left->ring ? 0 : WEIR_ENOMEM;
}

void engine_left_free(struct engine_left *left)
{
	free(left->ring);
}

static void judge_first(struct engine_left *left, bool is_dead)
{
	const struct plan_settings *settings = &left->life->plan->settings;
	uint64_t first = (uint64_t)settings->stop_of_first;
	if (left->items > first)
		return;
	left->first_dead += is_dead;
	if (is_dead && (double)left->first_dead >= settings->stop_dead * (double)first)
		engine_give_up(left->life, "%llu of the first %llu items are dead letters (stop_when: dead, of_first)",
			       (unsigned long long)left->first_dead, (unsigned long long)left->items);
}

static void judge_last(struct engine_left *left, bool is_dead)
{
	const struct plan_settings *settings = &left->life->plan->settings;
	uint64_t last = (uint64_t)settings->stop_of_last, at = (left->items - 1) % last;
	uint64_t *word = &left->ring[at / BITS], bit = (uint64_t)1 << at % BITS;
	left->last_dead -= (*word & bit) != 0;
	left->last_dead += is_dead;
	*word = is_dead ? *word | bit : *word & ~bit;
	if (is_dead && left->items >= last && (double)left->last_dead >= settings->stop_dead * (double)last)
		engine_give_up(left->life, "%llu of the last %llu items are dead letters (stop_when: dead, of_last)",
			       (unsigned long long)left->last_dead, (unsigned long long)last);
}

void engine_left(struct engine_left *left, bool is_dead)
{
	const struct plan_settings *settings = &left->life->plan->settings;
	left->items++;
	left->row = is_dead ? left->row + 1 : 0;
	if (settings->stop_dead > 0)
		judge_first(left, is_dead);
	if (left->ring)
		judge_last(left, is_dead);
	if (settings->stop_in_a_row && left->row >= (uint64_t)settings->stop_in_a_row)
		engine_give_up(left->life, "%llu items in a row are dead letters (stop_when: dead_in_a_row)",
			       (unsigned long long)left->row);
}

bool engine_is_giving_up(const char *reason)
{
	return strstr(reason, "(stop_when: ");
}

void engine_denied(const struct engine_left *left, const struct engine_flow *flow)
{
	weir_nsec most = left->life->plan->settings.stop_denied, since = flow->denied_since;
	if (!most || !since || weir_now() - since < most)
		return;
	if (!strncmp(flow->last_failure, "auth: ", 6))
		engine_give_up(left->life, "%s (stop_when: denied)", flow->last_failure);
	else
		engine_give_up(left->life, "%s denies every call (stop_when: denied); check the credentials",
			       flow->upstream);
}
