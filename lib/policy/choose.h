/* SPDX-License-Identifier: MIT */
#ifndef POLICY_CHOOSE_H
#define POLICY_CHOOSE_H

#include <weir/process.h>

/* The rules of `auto`, pure: the first of the table that applies.  Whatever the profile holds, the choice is one that
 * can be acted on. */
void weir__choose(const struct weir_profile *profile, struct weir_choice *ret_choice);

#endif
