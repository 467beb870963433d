/* SPDX-License-Identifier: MIT */
/* What several verbs print. */
#include "cmd/cmd.h"

#include <stdio.h>

void cmd_print_error(const struct weir_error *err)
{
	if (err->line)
		fprintf(stderr, "%s:%d:%d: %s\n", err->source, err->line, err->column, err->text);
	else if (*err->source)
		fprintf(stderr, "%s: %s\n", err->source, err->text);
	else
		fprintf(stderr, "weir: %s\n", err->text);
}
