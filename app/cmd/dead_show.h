/* SPDX-License-Identifier: MIT */
/* Dead letters on the standard output.  What came from outside is shown without control characters. */
#ifndef CMD_DEAD_SHOW_H
#define CMD_DEAD_SHOW_H

#include "data/json.h"

void dead_print_heading(void); /* of rows */
void dead_print_row(const struct json *letter);
void dead_print_letter(const struct json *letter);
void dead_print_groups_heading(void);
void dead_print_replayed(uint64_t n, bool live);                  /* so many letters, of a run that is alive or not */
void dead_print_group(const struct json *group, int64_t letters); /* of so many in all */

#endif
