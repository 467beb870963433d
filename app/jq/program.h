/* SPDX-License-Identifier: MIT */
/* Compiling jq programs, and what libjq says of those that are wrong. */
#ifndef JQ_PROGRAM_H
#define JQ_PROGRAM_H

#include <jq.h>
#include <jv.h>
#include <stdbool.h>

/* What went wrong first in a compilation. */
struct program_complaint {
	char text[400];
};

/* With vars the program gets an array of value, source and meta, and sees the latter two as $source and $meta.
 * definitions: what it sees, too; "" for nothing. */
bool program_compile(jq_state *jq, bool vars, const char *definitions, const char *program,
		     struct program_complaint *ret_why);

/* The exit code of --check: 0, or 1 with one line on standard error. */
int program_check(jq_state *jq, const char *program);

#endif
