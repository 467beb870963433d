/* SPDX-License-Identifier: MIT */
/* Replays dead letters with other items.  Both say what became of them; *ret_stayed: some are letters still. */
#ifndef CMD_DEAD_MEND_H
#define CMD_DEAD_MEND_H

#include "cmd/letters.h"

/* What a jq program makes of each letter's item. */
int dead_mend_by_program(struct letters *letters, const char *program, const struct letter_query *query,
			 bool *ret_stayed, struct weir_error *err);

/* The items as they stand in a file. */
int dead_mend_from_file(struct letters *letters, const char *path, bool *ret_stayed, struct weir_error *err);

#endif
