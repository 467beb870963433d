/* SPDX-License-Identifier: MIT */
#include "port/journal.h"

void broker_past_fini(struct broker_past *past)
{
	value_fini(&past->plan);
	value_fini(&past->source);
	value_fini(&past->file);
	for (int i = 0; i < OUTLETS; i++)
		value_fini(&past->positions[i]);
	*past = (struct broker_past){0};
}

int broker_check_accounts(const struct broker_accounts *accounts, uint64_t held, struct weir_error *err)
{
	uint64_t unfinished = broker_unfinished_of(accounts);
	if (held == unfinished)
		return 0;
	return weir_error_set(err, WEIR_EDATA,
			      "the accounts do not match: %llu read - %llu succeeded - %llu dropped - %llu dead = %llu "
			      "unfinished, but the broker holds %llu",
			      (unsigned long long)accounts->read, (unsigned long long)accounts->succeeded,
			      (unsigned long long)accounts->dropped, (unsigned long long)accounts->dead,
			      (unsigned long long)unfinished, (unsigned long long)held);
}
