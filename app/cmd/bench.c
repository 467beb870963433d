/* SPDX-License-Identifier: MIT */
/* weir bench: the program weir-bench takes the place of this one, with the same arguments. */
#include "cmd/cmd.h"
#include "cmd/paths.h"
#include "data/terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

int cmd_bench(int argc, char **argv)
{
	(void)argc;
	char *path = cmd_helper_path("weir-bench");
	if (path) {
		argv[0] = path;
		execv(path, argv);
	}
	if (path && errno == ENOENT)
		terminal_complain("weir bench", "weir-bench is not beside weir: there is no %s", path);
	else
		terminal_complain("weir bench", "cannot start weir-bench: %s", strerror(errno));
	free(path);
	return EX_UNAVAILABLE;
}
