/* SPDX-License-Identifier: MIT */
/* How many descriptors a run needs, and how many calls at once the limit allows. */
#ifndef CMD_DESCRIPTORS_H
#define CMD_DESCRIPTORS_H

#include "spec/plan.h"

/* Raises the limit of open descriptors as far as it goes.  0, or an exit code when a run of the plan (NULL: any run)
 * needs more than that; then it says so on stderr. */
int descriptors_need(const struct plan *plan, const char *file);

/* The concurrency that they allow; 0: any. */
size_t descriptors_concurrency(const struct plan *plan);

#endif
