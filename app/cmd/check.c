/* SPDX-License-Identifier: MIT */
/* weir check: reads and checks a pipeline file; opens and sends nothing unless that is asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/files.h"
#include "cmd/online.h"
#include "cmd/options.h"
#include "data/terminal.h"

struct check_options {
	bool explain, online;
	const char *state;
};

static int check_file(const char *path, const struct check_options *opts)
{
	struct plan *plan;
	char *state;
	int code = cmd_load(path, opts->state, NULL, false, &plan, &state);
	if (code)
		return code;
	cmd_warn(plan);
	if (opts->explain) {
		terminal_put_exact(stdout, plan->explained, strlen(plan->explained));
	} else {
		terminal_put(stdout, path);
		puts(": ok");
	}
	if (opts->online)
		code = online_check(plan, state);
	free(state);
	plan_free(plan);
	return code;
}

static const struct cmd_option options[] = {
	{"explain", NULL, "print each key with its value; defaults are marked, secrets hidden",
	 offsetof(struct check_options, explain)},
	{"online", NULL,
	 "connect to what a run reads, calls and writes, and print a line for each: what is there, what a run would "
	 "create, what is missing; sends no request and writes nothing",
	 offsetof(struct check_options, online)},
	{"state", "DIR", "with --online: the state folder of the run (default: .weir/NAME beside FILE)",
	 offsetof(struct check_options, state)},
	{0},
};

static const struct cmd_usage usage = {
	.verb = "check",
	.forms = "[--explain] [--online] FILE",
	.about = "Checks a pipeline file: its keys and values, the files it names, its jq\n"
		 "programs.  Sends no request and writes nothing.  Exit code 0: ok; 78: an\n"
		 "error, shown as FILE:LINE:COLUMN: TEXT, or with --online something that must\n"
		 "be changed; 69: a jq program cannot be checked, or something does not answer.",
	.options = options,
};

int cmd_check(int argc, char **argv)
{
	struct check_options opts = {0};
	int words, code;
	if (!cmd_options_read(&usage, argc, argv, &opts, &words, &code))
		return code;
	if (words != 1)
		return cmd_refuse(&usage, "%s", words ? "one FILE, not several" : "which FILE?");
	return check_file(argv[0], &opts);
}
