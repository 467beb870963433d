/* SPDX-License-Identifier: MIT */
/* Not glob(3), which puts what it finds on the stack, and a fiber's is small. */
#include "data/pattern.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/array.h"

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void pattern_paths_fini(struct pattern_paths *paths)
{
	for (size_t i = 0; i < paths->n; i++)
		free(paths->paths[i]);
	free(paths->paths);
	*paths = (struct pattern_paths){0};
}

/* Takes the path over. */
static int add_path(struct pattern_paths *paths, char *path)
{
	if (!path || array_reserve(&paths->paths, &paths->room, paths->n + 1, sizeof path)) {
		free(path);
		return WEIR_ENOMEM;
	}
	paths->paths[paths->n++] = path;
	return 0;
}

static int add_match(const char *path, size_t folder, const char *name, struct pattern_paths *paths,
		     struct weir_error *err)
{
	char *full = NULL;
	struct stat st;
	if (asprintf(&full, "%.*s%s", (int)folder, path, name) < 0)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (stat(full, &st) == 0 && S_ISDIR(st.st_mode)) {
		free(full);
		return 0;
	}
	if (add_path(paths, full))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (strchr(name, '\n'))
		return weir_error_set(err, WEIR_EINVAL,
				      "a file that matches %s has a line break in its name; rename it", path);
	if (paths->n > PATTERN_MOST)
		return weir_error_set(err, WEIR_EINVAL, "more than %d files match %s; name fewer at a time",
				      PATTERN_MOST, path);
	return 0;
}

static int read_folder(DIR *dir, const char *path, size_t folder, struct pattern_paths *paths, struct weir_error *err)
{
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (!entry && errno)
			return weir_error_set(err, -errno, "cannot read the folder of %s: %s", path,
					      weir_strerror(-errno));
		if (!entry)
			return 0;
		if (fnmatch(path + folder, entry->d_name, FNM_PERIOD) != 0)
			continue;
		int code = add_match(path, folder, entry->d_name, paths, err);
		if (code)
			return code;
	}
}

static int refuse_folder(const char *name, int code, struct weir_error *err)
{
	if (code == -ENOENT && strpbrk(name, "*?["))
		return weir_error_set(err, code, "no such folder: %s; only the last part of a path may be a pattern",
				      name);
	return weir_error_set(err, code, "cannot open the folder %s: %s", name, weir_strerror(code));
}

static int find_matches(const char *path, size_t folder, struct pattern_paths *paths, struct weir_error *err)
{
	char *name = folder ? strndup(path, folder) : strdup(".");
	if (!name)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	DIR *dir = opendir(name);
	int code = dir ? read_folder(dir, path, folder, paths, err) : refuse_folder(name, -errno, err);
	free(name);
	if (dir)
		closedir(dir);
	if (!code && !paths->paths)
		code = weir_error_set(err, WEIR_ENOENT, "no file matches %s", path);
	if (paths->paths)
		qsort(paths->paths, paths->n, sizeof *paths->paths, compare);
	return code;
}

int pattern_expand(const char *path, struct pattern_paths *ret_paths, struct weir_error *err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct pattern_paths paths = {0};
	struct stat st;
	int code;
	paths.matched = strpbrk(name, "*?[") && stat(path, &st) != 0;
	if (paths.matched)
		code = find_matches(path, (size_t)(name - path), &paths, err);
	else
		code = add_path(&paths, strdup(path)) ? weir_error_set(err, WEIR_ENOMEM, "out of memory") : 0;
	if (code)
		pattern_paths_fini(&paths);
	else
		*ret_paths = paths;
	return code;
}
