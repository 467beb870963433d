/* SPDX-License-Identifier: MIT */
/* How verbs end: what several of them print, and with which exit code. */
#include "cmd/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

void cmd_print_error(const struct weir_error *err)
{
	const char *source = err->source[0] ? err->source : "weir";
	if (err->line > 0)
		fprintf(stderr, "%s:%d:%d: %s\n", source, err->line, err->column, err->text);
	else
		fprintf(stderr, "%s: %s\n", source, err->text);
}

int cmd_exit_of(int code)
{
	switch (code) {
	case 0:
		return 0;
	case -ENOENT:
	case -ECONNREFUSED: /* no run is alive there */
		return EX_UNAVAILABLE;
	case WEIR_EBUSY:
		return EX_TEMPFAIL;
	case WEIR_EINVAL:
		return EX_USAGE;
	default:
		return EX_IOERR;
	}
}
