/* SPDX-License-Identifier: MIT */
/* weir check: reads and checks a pipeline file, opens nothing, sends nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/files.h"
#include "cmd/options.h"
#include "data/terminal.h"

static int check_file(const char *path, bool explain)
{
	struct plan *plan;
	char *state;
	int code = cmd_load(path, NULL, NULL, false, &plan, &state);
	if (code)
		return code;
	cmd_warn(plan);
	if (explain) {
		terminal_put_exact(stdout, plan->explained, strlen(plan->explained));
	} else {
		terminal_put(stdout, path);
		puts(": ok");
	}
	free(state);
	plan_free(plan);
	return 0;
}

struct check_options {
	bool explain;
};

static const struct cmd_option options[] = {
	{"explain", NULL, "print each key with its value; defaults are marked, secrets hidden",
	 offsetof(struct check_options, explain)},
	{0},
};

static const struct cmd_usage usage = {
	.verb = "check",
	.forms = "[--explain] FILE",
	.about = "Checks a pipeline file: its keys and values, the files it names, its jq\n"
		 "programs.  Sends no request and writes nothing.  Exit code 0: ok; 78: an\n"
		 "error, shown as FILE:LINE:COLUMN: TEXT; 69: a jq program cannot be checked.",
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
	return check_file(argv[0], opts.explain);
}
