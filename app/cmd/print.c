/* SPDX-License-Identifier: MIT */
/* What several verbs print. */
#include "cmd/cmd.h"

#include <stdio.h>

void cmd_print_error(const struct weir_error *err)
{
	const char *source = err->source[0] ? err->source : "weir";
	if (err->line > 0)
		fprintf(stderr, "%s:%d:%d: %s\n", source, err->line, err->column, err->text);
	else
		fprintf(stderr, "%s: %s\n", source, err->text);
}
