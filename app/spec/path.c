/* SPDX-License-Identifier: MIT */
/* Values that name files: whether they can be read, or written. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/pattern.h"
#include "spec/spec.h"

/* "KEY: cannot VERB "PATH": WHY", the path as it stands in the file. */
static int fail_path(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *verb,
		     const char *why)
{
	return spec_fail(load, node->line, node->column, "%s: cannot %s \"%.160s\": %s", key->name, verb, node->text,
			 why);
}

/* Why a file cannot be read; NULL: it can. */
static const char *find_wrong(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return errno == ENOENT ? "no such file" : weir_strerror(-errno);
	if (S_ISDIR(st.st_mode))
		return "it is a folder";
	return access(path, R_OK) < 0 ? "permission denied" : NULL;
}

static int read_pattern(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *path)
{
	struct pattern_paths paths;
	struct weir_error err = {0};
	char why[400] = "";
	int code = pattern_expand(path, &paths, &err);
	if (code == WEIR_ENOMEM)
		return spec_fail_memory(load);
	if (code)
		return fail_path(load, key, node, "read", err.text);
	for (size_t i = 0; i < paths.n && !why[0]; i++) {
		const char *wrong = find_wrong(paths.paths[i]);
		if (wrong && paths.matched)
			snprintf(why, sizeof why, "%.300s: %s", paths.paths[i], wrong);
		else if (wrong)
			snprintf(why, sizeof why, "%s", wrong);
	}
	pattern_paths_fini(&paths);
	return why[0] ? fail_path(load, key, node, "read", why) : 0;
}

int spec_path_in(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *text,
		 char **field)
{
	*field = spec_resolve(load, text);
	if (!*field)
		return spec_fail_memory(load);
	if (load->absent)
		return 0;
	if (key->flags & KEY_PATTERN)
		return read_pattern(load, key, node, *field);
	const char *wrong = find_wrong(*field);
	return wrong ? fail_path(load, key, node, "read", wrong) : 0;
}

int spec_path_out(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *text,
		  char **field)
{
	struct stat st;
	*field = spec_resolve(load, text);
	if (!*field)
		return spec_fail_memory(load);
	if (stat(*field, &st) == 0 && S_ISDIR(st.st_mode))
		return fail_path(load, key, node, "write", "it is a folder");
	char *slash = strrchr(*field, '/');
	if (!slash)
		return 0;
	char *folder = slash == *field ? strdup("/") : strndup(*field, (size_t)(slash - *field));
	if (!folder)
		return spec_fail_memory(load);
	bool good = stat(folder, &st) == 0 && S_ISDIR(st.st_mode);
	free(folder);
	return good ? 0 : fail_path(load, key, node, "write", "its folder does not exist");
}
