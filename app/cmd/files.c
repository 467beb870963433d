/* SPDX-License-Identifier: MIT */
#include "cmd/files.h"

#include "cmd/paths.h"
#include "cmd/runs.h"
#include "data/terminal.h"
#include "state/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static int add_plan(struct files *files, const struct plan *plan)
{
	int code = 0;
	for (size_t i = 0; i < plan->files.n && !code; i++)
		code = files_add(files, &plan->files.uses[i]);
	return code;
}

static int add_state(struct files *files, const char *state)
{
	int code = 0;
	for (const char *const *name = folder_names; state && *name && !code; name++) {
		struct buf path = {0};
		buf_addf(&path, "%s/%s", state, *name);
		code = path.failed
			       ? WEIR_ENOMEM
			       : files_add(files,
					   &(struct file_use){.path = path.data, .what = "the state", .written = true});
		buf_fini(&path);
	}
	return code;
}

/* What the shell has opened for us: progress and errors go there. */
static int add_standard(struct files *files)
{
	static const struct file_use uses[] = {
		{.path = "/dev/stdout", .what = "the standard output", .written = true, .standard = true},
		{.path = "/dev/stderr", .what = "the standard error", .written = true, .standard = true},
	};
	int code = files_add(files, &uses[0]);
	return code ? code : files_add(files, &uses[1]);
}

int cmd_files_check(const struct plan *plan, const char *state, const char *summary, struct weir_error *err)
{
	struct files files = {0};
	int code = add_plan(&files, plan);
	if (!code)
		code = add_state(&files, state);
	if (!code && summary && strcmp(summary, "-") != 0)
		code = files_add(&files, &(struct file_use){.path = summary, .what = "the summary", .written = true});
	if (!code)
		code = add_standard(&files);
	code = code ? weir_error_set(err, code, "out of memory") : files_check(&files, err);
	if (code && err)
		snprintf(err->source, sizeof err->source, "%s", plan->file);
	files_fini(&files);
	return code;
}

int cmd_output_check(const char *output, const char *state, struct weir_error *err)
{
	struct files files = {0};
	int code = add_state(&files, state);
	if (!code && output)
		code = files_add(&files, &(struct file_use){.path = output, .what = "the output", .written = true});
	code = code ? weir_error_set(err, code, "out of memory") : files_check(&files, err);
	files_fini(&files);
	return code;
}

FILE *cmd_output_open(const char *path, struct weir_error *err)
{
	FILE *output = path ? fopen(path, "we") : stdout;
	if (!output)
		weir_error_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
	return output;
}

int cmd_output_close(FILE *output, int code, struct weir_error *err)
{
	bool failed = output == stdout ? fflush(output) : fclose(output);
	if (failed && !code)
		code = weir_error_set(err, -errno, "cannot write: %s", strerror(errno));
	if (output != stdout || code != WEIR_EPIPE || !ferror(stdout))
		return code;
	clearerr(stdout);
	*err = (struct weir_error){0};
	return 0;
}

/* FILE:LINE:COLUMN: what is wrong. */
static void print_error(const struct weir_error *err)
{
	char place[sizeof err->source + 24];
	const char *source = err->source[0] ? err->source : "weir";
	if (err->line > 0)
		snprintf(place, sizeof place, "%s:%d:%d", source, err->line, err->column);
	else
		snprintf(place, sizeof place, "%s", source);
	terminal_complain(place, "%s", err->text);
}

void cmd_warn(const struct plan *plan)
{
	terminal_put_lines(stderr, plan->warnings, strlen(plan->warnings));
}

int cmd_load(const char *file, const char *state, const char *summary, bool no_source, struct plan **ret_plan,
	     char **ret_state)
{
	struct weir_error err = {0};
	struct plan *plan = NULL;
	char *jq = cmd_helper_path("weir-jq"), *folder = NULL;
	int code = spec_load(file, &(struct spec_options){.jq_path = jq, .no_source = no_source}, &plan, &err);
	int exit_code = code == WEIR_EDIED ? EX_UNAVAILABLE : EX_CONFIG;
	free(jq);
	if (!code)
		folder = runs_folder_of(plan, state);
	if (!code)
		code = cmd_files_check(plan, folder, summary, &err);
	if (code) {
		print_error(&err);
		free(folder);
		plan_free(plan);
		return exit_code;
	}
	*ret_plan = plan;
	*ret_state = folder;
	return 0;
}
