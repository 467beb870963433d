/* SPDX-License-Identifier: MIT */
/* The runs below this folder, and which of all runs a word of the user means. */
#ifndef CMD_RUNS_H
#define CMD_RUNS_H

#include <dirent.h>
#include <stdbool.h>
#include <weir/base.h>

/* The names in .weir/, sorted. */
struct runs {
	struct dirent **all;
	int n;
};

void runs_list(struct runs *ret_runs);
void runs_fini(struct runs *runs);

bool runs_have(const char *name);

/* The state folder of the run called `name` below this folder (.weir/NAME); malloc'ed or NULL. */
char *runs_folder(const char *name);

/* The state folder of a plan: `wanted`, or .weir/NAME beside its file.  malloc'ed or NULL. */
struct plan;
char *runs_folder_of(const struct plan *plan, const char *wanted);

/* The state folder that is meant by `word`: the run of that name below this folder, a pipeline file, or a state folder;
 * NULL: the only run below this folder.  malloc'ed.  -ENOENT: there is none; WEIR_EINVAL: there are several. */
int runs_find(const char *word, char **ret_folder, struct weir_error *err);

#endif
