/* SPDX-License-Identifier: MIT */
/* Helpers are found beside the program itself and nowhere else: a search in $PATH could find another's. */
#include "cmd/paths.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *cmd_exe_path(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	return n > 0 ? strndup(path, (size_t)n) : NULL;
}

char *cmd_helper_path(const char *name)
{
	char *exe = cmd_exe_path(), *path = NULL;
	const char *slash = exe ? strrchr(exe, '/') : NULL;
	if (slash && asprintf(&path, "%.*s/%s", (int)(slash - exe), exe, name) < 0)
		path = NULL;
	free(exe);
	return path;
}
