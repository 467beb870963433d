/* SPDX-License-Identifier: MIT */
/* weir run FILE: runs a pipeline. */
#include "cmd/cmd.h"
#include "cmd/files.h"
#include "cmd/options.h"
#include "cmd/session.h"

#include <stdlib.h>

static int run_file(const char *file, struct session_options *opts)
{
	struct plan *plan;
	char *state;
	int code = session_need_descriptors(NULL, file);
	if (!code)
		code = cmd_load(file, opts->state, opts->summary, &plan, &state);
	if (code)
		return code;
	if (!opts->quiet)
		cmd_warn(plan);
	opts->state = state;
	code = session_run(plan, opts);
	free(state);
	plan_free(plan);
	return code;
}

static int set_progress(void *arg, const char *value, struct weir_error *err)
{
	struct session_options *opts = arg;
	return progress_form_read(value, &opts->progress, err);
}

#define AT(field) offsetof(struct session_options, field)

static const struct cmd_option options[] = {
	{"summary", "FILE", "write the totals as JSON; - is the standard output", AT(summary)},
	{"state", "DIR", "state folder (default: .weir/NAME beside FILE)", AT(state)},
	{"adopt", NULL, "resume although FILE has changed, or its source was copied", AT(adopt)},
	{"fresh", "[=discard]",
	 "start over; refused while there are unfinished items or dead letters, unless you add =discard", AT(fresh)},
	{"progress", "FORM", PROGRESS_HELP, .set = set_progress},
	{"quiet", NULL, "no progress; one line if the run fails or stops early", AT(quiet)},
	{"allow-private", NULL, "allow loopback and private addresses for hosts that come from item data",
	 AT(allow_private)},
	{0},
};

static const struct cmd_usage usage = {
	.verb = "run",
	.forms = "[OPTION ...] FILE",
	.about = "Runs the pipeline in FILE (YAML) to its end.  SIGINT or SIGTERM finish what is\n"
		 "in flight and stop; a second one ends it immediately.  The same command resumes\n"
		 "where it stopped, however it ended.  Once all is done, it says so.",
	.options = options,
};

int cmd_run(int argc, char **argv)
{
	struct session_options opts = {0};
	int words, code;
	if (!cmd_options_read(&usage, argc, argv, &opts, &words, &code))
		return code;
	if (words != 1)
		return cmd_refuse(&usage, "%s", words ? "one FILE, not several" : "which FILE?");
	return run_file(argv[0], &opts);
}
