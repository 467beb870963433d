/* SPDX-License-Identifier: MIT */
/* `auto`: looks at the first attempts, has weir_choose() choose, and goes on from there. */
#include "sync/policy.h"

bool weir__auto_add(struct weir_policy *policy, const struct weir_attempt *attempt, enum weir_outcome outcome,
		    weir_nsec took)
{
	(void)policy, (void)attempt, (void)outcome, (void)took;
	return false;
}
