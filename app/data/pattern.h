/* SPDX-License-Identifier: MIT */
/*
 * Paths whose last part may be a pattern, such as dump/part-*.jsonl: * stands for any characters, ? for one, [a-z] for
 * one of these.  Names that begin with a dot match only where the pattern says so, and folders are left out.
 */
#ifndef PORT_PATTERN_H
#define PORT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <weir/base.h>

#define PATTERN_MOST 100000 /* files */

struct pattern_paths {
	char **paths;
	size_t n, room;
	bool matched; /* the path is a pattern; else it is paths[0], whether it exists or not */
};

/* The files that a path names: itself when it has no pattern or a file has that very name; else those that match, in
 * the order of strcmp().  WEIR_ENOENT when none does, WEIR_EINVAL when they are too many or a name has a line end,
 * WEIR_ENOMEM, or what the folder answers; with err->text.  May block for as long as reading a folder takes. */
int pattern_expand(const char *path, struct pattern_paths *ret_paths, struct weir_error *err);
void pattern_paths_fini(struct pattern_paths *paths);

#endif
