/* SPDX-License-Identifier: MIT */
#include "cmd/runs.h"

#include "data/names.h"
#include "spec/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *runs_folder(const char *name)
{
	char *path;
	return asprintf(&path, ".weir/%s", name) < 0 ? NULL : path;
}

char *runs_folder_of(const struct plan *plan, const char *wanted)
{
	char *path;
	if (wanted)
		return strdup(wanted);
	if (!strcmp(plan->folder, "."))
		return runs_folder(plan->settings.name);
	return asprintf(&path, "%s/.weir/%s", plan->folder, plan->settings.name) < 0 ? NULL : path;
}

/* --- the runs below this folder --- */

static int is_run(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

void runs_list(struct runs *ret_runs)
{
	ret_runs->n = scandir(".weir", &ret_runs->all, is_run, alphasort);
	if (ret_runs->n < 0)
		*ret_runs = (struct runs){0};
}

void runs_fini(struct runs *runs)
{
	while (runs->n > 0)
		free(runs->all[--runs->n]);
	free(runs->all);
}

bool runs_have(const char *name)
{
	char *path = *name && !strchr(name, '/') ? runs_folder(name) : NULL;
	bool there = path && !access(path, F_OK);
	free(path);
	return there;
}

static void name_all(const struct runs *runs, struct names *names)
{
	for (int i = 0; i < runs->n; i++)
		names_add(names, runs->all[i]->d_name);
}

/* --- which run is meant --- */

static int find_only(char **ret_path, struct weir_error *err)
{
	struct runs runs;
	struct names names = {0};
	struct buf known = {0};
	int code = 0;
	runs_list(&runs);
	name_all(&runs, &names);
	names_describe(&names, "", &known);
	if (!runs.n)
		code = weir_error_set(err, -ENOENT, "there is no run in .weir/ below this folder");
	else if (runs.n > 1)
		code = weir_error_set(err, WEIR_EINVAL, "which run?%s", known.data ? strchr(known.data, ' ') : "");
	else
		*ret_path = runs_folder(names.names[0]);
	buf_fini(&known);
	runs_fini(&runs);
	return code;
}

static int refuse_word(const char *word, struct weir_error *err)
{
	struct runs runs;
	struct names names = {0};
	char hint[80];
	if (strpbrk(word, "/."))
		return weir_error_set(err, -ENOENT, "there is no file or folder %s", word);
	runs_list(&runs);
	name_all(&runs, &names);
	int code = weir_error_set(err, -ENOENT, "no run called \"%.80s\" in .weir/ below this folder%s", word,
				  names_hint(&names, word, hint));
	runs_fini(&runs);
	return code;
}

static int find_beside(const char *file, char **ret_path, struct weir_error *err)
{
	struct weir_error why = {0};
	struct plan *plan;
	int code = spec_load(file, &(struct spec_options){.name_only = true}, &plan, &why);
	if (code)
		return weir_error_set(err, code, "%s: %s", file, why.text);
	*ret_path = runs_folder_of(plan, NULL);
	if (*ret_path && access(*ret_path, F_OK))
		code = weir_error_set(err, -ENOENT, "%s has not been run: there is no %s", file, *ret_path);
	plan_free(plan);
	return code;
}

/* The name of a run comes before a file or folder of that name. */
static int find_word(const char *word, char **ret_path, struct weir_error *err)
{
	struct stat st;
	bool is_name = runs_have(word);
	if (!is_name && stat(word, &st))
		return refuse_word(word, err);
	if (!is_name && !S_ISDIR(st.st_mode))
		return find_beside(word, ret_path, err);
	*ret_path = is_name ? runs_folder(word) : strdup(word);
	return 0;
}

int runs_find(const char *word, char **ret_folder, struct weir_error *err)
{
	char *path = NULL;
	int code = word ? find_word(word, &path, err) : find_only(&path, err);
	if (!code && !path)
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	for (size_t n = path ? strlen(path) : 0; n > 1 && path[n - 1] == '/'; n--)
		path[n - 1] = 0; /* as a shell completes it */
	if (code)
		free(path);
	else
		*ret_folder = path;
	return code;
}
