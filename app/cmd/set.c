/* SPDX-License-Identifier: MIT */
/* weir set, pause, resume: change the limits of a run while it is alive, through its control socket. */
#include "cmd/ask.h"
#include "cmd/changes.h"
#include "cmd/cmd.h"
#include "cmd/fleet.h"
#include "cmd/options.h"
#include "cmd/runs.h"
#include "data/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct set_options {
	bool as_json;
};

#define JSON_OPTION                                                                                                    \
	{                                                                                                              \
		"json", NULL, "print the figures of the run after the change as a JSON object",                        \
			offsetof(struct set_options, as_json)                                                          \
	}

static const struct cmd_option set_options[] = {
	{NULL, "concurrency=N", "maximum calls in flight; auto: found by measurement"},
	{NULL, "rate=N/s", "maximum calls in a time, such as 1000/s, 60/m or 3/10s; none: no limit of yours"},
	{NULL, "paused=true", "send nothing new until paused=false, as weir pause and weir resume"},
	JSON_OPTION,
	{0},
};
static const struct cmd_option pause_options[] = {JSON_OPTION, {0}};

static const struct cmd_usage set_usage = {
	.verb = "set",
	.forms = "[RUN] NAME=VALUE ...",
	.about = "Changes the limits of a running pipeline.  RUN is its name, for .weir/RUN below\n"
		 "this folder, its pipeline file, or its state folder (default: the only run below\n"
		 "this folder).  Changes all of them or, if one is wrong, none.  They hold until\n"
		 "the run ends; the pipeline file stays as it is.  Of a pipeline that several\n"
		 "processes share, name the file: they hold for all processes together.",
	.options = set_options,
};

static const struct cmd_usage pause_usage = {
	.verb = "pause",
	.forms = "[RUN]",
	.about = "Pauses a running pipeline: calls in flight finish, nothing new is sent until\n"
		 "`weir resume`.  RUN is its name, its pipeline file, or its state folder\n"
		 "(default: the only run below this folder).",
	.options = pause_options,
};

static const struct cmd_usage resume_usage = {
	.verb = "resume",
	.forms = "[RUN]",
	.about = "Continues a running pipeline that `weir pause` has paused.  RUN is its name, its\n"
		 "pipeline file, or its state folder (default: the only run below this folder).\n"
		 "To resume a run that has ended, use `weir run FILE`.",
	.options = pause_options,
};

static int change(const struct cmd_usage *usage, const struct set_options *opts, const char *run, char **words, int n)
{
	struct weir_error err = {0};
	struct engine_changes changes;
	struct buf request = {0}, answer = {0};
	struct json *json = NULL;
	char who[40], *folder = NULL;
	struct plan *plan = NULL;
	snprintf(who, sizeof who, "weir %s", usage->verb);
	buf_add_str(&request, "set");
	for (int i = 0; i < n; i++)
		buf_addf(&request, " %s", words[i]);
	int code = request.failed ? weir_error_set(&err, WEIR_ENOMEM, "out of memory") : 0;
	bool good = code || !changes_parse(request.data + strlen("set"), &changes, &err);
	if (!code && good && (plan = visit_find(run))) {
		struct fleet_setting setting = {changes, opts->as_json};
		buf_fini(&request);
		return visit_run(plan, who, fleet_set, &setting);
	}
	if (!code && good)
		code = runs_find(run, &folder, &err);
	if (!code && good)
		code = cmd_ask(folder, request.data, &answer, &json, &err);
	if (!code && good)
		cmd_answer_print(&answer, opts->as_json);
	json_free(json);
	free(folder);
	buf_fini(&answer);
	buf_fini(&request);
	if (!good)
		return cmd_refuse(usage, "%s", err.text);
	if (code)
		terminal_complain(who, "%s", err.text);
	return cmd_exit_of(code);
}

int cmd_set(int argc, char **argv)
{
	struct set_options opts = {0};
	int words, code;
	if (!cmd_options_read(&set_usage, argc, argv, &opts, &words, &code))
		return code;
	int first = words && !strchr(argv[0], '=');
	if (first == words)
		return cmd_refuse(&set_usage, "what? NAME=VALUE, one or more");
	return change(&set_usage, &opts, first ? argv[0] : NULL, argv + first, words - first);
}

static int change_pause(const struct cmd_usage *usage, int argc, char **argv, char *change_to)
{
	struct set_options opts = {0};
	int words, code;
	if (!cmd_options_read(usage, argc, argv, &opts, &words, &code))
		return code;
	if (words > 1)
		return cmd_refuse(usage, "which run? One RUN, by its name, its file or its state folder");
	return change(usage, &opts, words ? argv[0] : NULL, &change_to, 1);
}

int cmd_pause(int argc, char **argv)
{
	return change_pause(&pause_usage, argc, argv, "paused=true");
}

int cmd_resume(int argc, char **argv)
{
	return change_pause(&resume_usage, argc, argv, "paused=false");
}
