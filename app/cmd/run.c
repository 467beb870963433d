/* SPDX-License-Identifier: MIT */
/* weir run FILE: runs a pipeline; weir submit, weir work: a part of that, where several processes share the broker. */
#include "cmd/cmd.h"
#include "cmd/descriptors.h"
#include "cmd/files.h"
#include "cmd/options.h"
#include "cmd/session.h"
#include "cmd/visit.h"
#include "data/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

/* A broker of one process has nobody to submit to, or to work for. */
static int refuse_alone(const struct plan *plan, unsigned roles)
{
	char place[300];
	int n = snprintf(place, sizeof place, "%s", plan->file);
	if (plan->broker.line > 1 && n < (int)sizeof place)
		snprintf(place + n, sizeof place - (size_t)n, ":%d:%d", plan->broker.line, plan->broker.column);
	terminal_complain(place,
			  "weir %s needs a broker that several processes share, and %s belongs to one; write broker: "
			  "redis, or use weir run",
			  roles == ENGINE_SUBMIT ? "submit" : "work", plan->broker.adapter->name);
	return EX_CONFIG;
}

static int run_file(const char *file, struct session_options *opts)
{
	struct plan *plan;
	char *state;
	int code = descriptors_need(NULL, file);
	if (!code)
		code = cmd_load(file, opts->state, opts->summary, opts->roles == ENGINE_WORK, &plan, &state);
	if (code)
		return code;
	if (!opts->quiet)
		cmd_warn(plan);
	opts->state = state;
	code = opts->roles && !visit_is_shared(plan) ? refuse_alone(plan, opts->roles) : session_run(plan, opts);
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
#define SUMMARY_OPTION                                                                                                 \
	{                                                                                                              \
		"summary", "FILE", "write the totals as JSON; - is the standard output", AT(summary)                   \
	}
#define STATE_OPTION                                                                                                   \
	{                                                                                                              \
		"state", "DIR", "state folder (default: .weir/NAME beside FILE)", AT(state)                            \
	}
#define FRESH_OPTION                                                                                                   \
	{                                                                                                              \
		"fresh", "[=discard]",                                                                                 \
			"start over; refused while there are unfinished items or dead letters, unless you add "        \
			"=discard",                                                                                    \
			AT(fresh)                                                                                      \
	}
#define OUTPUT_OPTIONS                                                                                                 \
	{"progress", "FORM", PROGRESS_HELP, .set = set_progress},                                                      \
	{                                                                                                              \
		"quiet", NULL, "no progress; one line if the run fails or stops early", AT(quiet)                      \
	}
#define PRIVATE_OPTION                                                                                                 \
	{                                                                                                              \
		"allow-private", NULL, "allow loopback and private addresses for hosts that come from item data",      \
			AT(allow_private)                                                                              \
	}

static const struct cmd_option run_options[] = {
	SUMMARY_OPTION,
	STATE_OPTION,
	{"adopt", NULL, "resume although FILE has changed, or its source was copied", AT(adopt)},
	FRESH_OPTION,
	OUTPUT_OPTIONS,
	PRIVATE_OPTION,
	{0},
};

static const struct cmd_option submit_options[] = {
	{"detach", NULL, "end when all is in the broker; do not wait until it is done", AT(detach)},
	{"adopt", NULL, "resume although FILE has changed; workers with the old file finish their items and stop",
	 AT(adopt)},
	FRESH_OPTION,
	SUMMARY_OPTION,
	STATE_OPTION,
	OUTPUT_OPTIONS,
	{0},
};

static const struct cmd_option work_options[] = {
	{"stay", NULL, "when the run is done, wait for the next one", AT(stay)},
	SUMMARY_OPTION,
	STATE_OPTION,
	OUTPUT_OPTIONS,
	PRIVATE_OPTION,
	{0},
};

static const struct cmd_usage run_usage = {
	.verb = "run",
	.forms = "[OPTION ...] FILE",
	.about = "Runs the pipeline in FILE (YAML) to its end.  SIGINT or SIGTERM finish what is\n"
		 "in flight and stop; a second one ends it immediately.  The same command resumes\n"
		 "where it stopped, however it ended.  Once all is done, it says so.",
	.options = run_options,
};

static const struct cmd_usage submit_usage = {
	.verb = "submit",
	.forms = "[OPTION ...] FILE",
	.about = "Reads the source of the pipeline in FILE into its broker, which others share,\n"
		 "and waits until all items are done.  `weir work FILE` processes them, in any\n"
		 "number of processes on any machines.  One submit at a time: exit code 75 if\n"
		 "another one is running.  The same command resumes where it stopped.",
	.options = submit_options,
};

static const struct cmd_usage work_usage = {
	.verb = "work",
	.forms = "[OPTION ...] FILE",
	.about = "Processes items that `weir submit FILE` has put into the broker, until the run\n"
		 "is done.  Start as many as you need, before or after the submit, on any machine.\n"
		 "SIGINT or SIGTERM finish what is in flight; all else goes to the others\n"
		 "immediately.  Exit code 75: the others took this process for dead, and it could\n"
		 "not join again.",
	.options = work_options,
};

static int run(const struct cmd_usage *usage, unsigned roles, int argc, char **argv)
{
	struct session_options opts = {.roles = roles};
	int words, code;
	if (!cmd_options_read(usage, argc, argv, &opts, &words, &code))
		return code;
	if (words != 1)
		return cmd_refuse(usage, "%s", words ? "one FILE, not several" : "which FILE?");
	return run_file(argv[0], &opts);
}

int cmd_run(int argc, char **argv)
{
	return run(&run_usage, 0, argc, argv);
}

int cmd_submit(int argc, char **argv)
{
	return run(&submit_usage, ENGINE_SUBMIT, argc, argv);
}

int cmd_work(int argc, char **argv)
{
	return run(&work_usage, ENGINE_WORK, argc, argv);
}
