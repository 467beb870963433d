/* SPDX-License-Identifier: MIT */
#include "fleet/shares.h"

#include <string.h>

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t fleet_share_now(const struct fleet_share *share, weir_nsec now)
{
	return now < share->until ? share->holds : 0;
}

void fleet_share_ask(struct fleet_share *share, weir_nsec now)
{
	share->holds = least(fleet_share_now(share, now), share->wants);
	if (now < share->steady)
		share->wants = share->holds;
}

void fleet_share_connected(struct fleet_share *share, weir_nsec now)
{
	share->steady = now + FLEET_SHARE_LIFE;
}

void fleet_share_hear(struct fleet_share *share, uint64_t granted, weir_nsec sent)
{
	share->holds = granted;
	share->until = sent + FLEET_SHARE_LIFE;
}

/* The level up to which all needs can be met, by filling: who needs no more than an equal part of what is left gets it,
 * and leaves more to the others, until nobody does.  *ret_rest: units that are left then, one each for those that come
 * first. */
static uint64_t find_level(const struct fleet_share *share, const struct fleet_claim *others, size_t n,
			   uint64_t *ret_rest)
{
	for (uint64_t below = 0;;) { /* those with needs up to this have got them */
		uint64_t left = share->capacity, many = 0;
		for (size_t i = 0; i <= n; i++) {
			uint64_t needs = i == n ? share->needs : others[i].needs;
			if (needs <= below)
				left -= least(needs, left);
			else
				many++;
		}
		if (!many)
			return UINT64_MAX;
		*ret_rest = left % many;
		if (left / many == below)
			return below;
		below = left / many;
	}
}

weir_nsec fleet_share_plan(struct fleet_share *share, const char *own_name, const struct fleet_claim *others, size_t n,
			   weir_nsec now)
{
	uint64_t rest = 0, level = find_level(share, others, n, &rest), before = 0, held = share->holds;
	bool in_excess = false;
	for (size_t i = 0; i < n; i++) {
		held += others[i].holds;
		before += others[i].needs > level && strcmp(others[i].name, own_name) < 0;
		in_excess |=
			others[i].holds > others[i].needs || (others[i].holds > level && others[i].holds - level > 1);
	}
	share->wants = share->needs <= level ? least(share->needs, share->capacity) : level + (before < rest);
	bool more = share->wants > share->holds;
	if (more && now < share->steady)
		return share->steady - now < FLEET_MEETING ? share->steady - now : FLEET_MEETING;
	if (share->wants < share->holds || (more && held < share->capacity))
		return 0;
	return more && in_excess ? FLEET_MEETING / 4 : FLEET_MEETING;
}

uint64_t fleet_share_grant(uint64_t capacity, uint64_t others, uint64_t wants)
{
	return others < capacity ? least(wants, capacity - others) : 0;
}
