/* SPDX-License-Identifier: MIT */
/* weir run FILE: runs a pipeline. */
#include "cmd/cmd.h"
#include "cmd/paths.h"
#include "cmd/session.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static void print_help(FILE *to)
{
	fputs("usage: weir run [OPTION ...] FILE\n\n"
	      "Runs the pipeline in FILE (YAML) to its end.  SIGINT or SIGTERM stop it after\n"
	      "what is in flight; a second one ends it at once.  However it ended, the same\n"
	      "command goes on where it was; once all is done it says so and does nothing.\n\n"
	      "  --summary FILE    write the totals as JSON; - is the standard output\n"
	      "  --state DIR       the state folder; default: .weir/NAME beside FILE\n"
	      "  --adopt           go on although FILE has changed, or its source was copied\n"
	      "  --fresh           begin anew; refused while there are unfinished items or dead\n"
	      "                    letters, unless as --fresh=discard\n"
	      "  --quiet           no progress\n"
	      "  --allow-private   hosts that come from item data may be loopback or private\n"
	      "  --help\n",
	      to);
}

static char *state_folder(const struct plan *plan, const char *wanted)
{
	char *path;
	int n = wanted ? asprintf(&path, "%s", wanted)
		       : asprintf(&path, "%s/.weir/%s", plan->folder, plan->settings.name);
	return n < 0 ? NULL : path;
}

static int run_file(const char *file, struct session_options *opts)
{
	struct weir_error err = {0};
	struct plan *plan;
	char *jq_path = cmd_helper_path("weir-jq");
	int code = spec_load(file, &(struct spec_options){.jq_path = jq_path}, &plan, &err);
	free(jq_path);
	if (code) {
		cmd_print_error(&err);
		return EX_CONFIG;
	}
	char *state = state_folder(plan, opts->state);
	opts->state = state;
	int exit_code = session_run(plan, opts);
	free(state);
	plan_free(plan);
	return exit_code;
}

int cmd_run(int argc, char **argv)
{
	static const struct option options[] = {
		{"summary", required_argument, NULL, 's'}, {"state", required_argument, NULL, 'd'},
		{"quiet", no_argument, NULL, 'q'},         {"allow-private", no_argument, NULL, 'p'},
		{"adopt", no_argument, NULL, 'a'},         {"fresh", optional_argument, NULL, 'f'},
		{"help", no_argument, NULL, 'h'},          {0},
	};
	struct session_options opts = {0};
	int option;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		switch (option) {
		case 's':
			opts.summary = optarg;
			break;
		case 'd':
			opts.state = optarg;
			break;
		case 'q':
			opts.quiet = true;
			break;
		case 'p':
			opts.allow_private = true;
			break;
		case 'a':
			opts.wish = WISH_ADOPT;
			break;
		case 'f':
			if (optarg && strcmp(optarg, "discard") != 0) {
				fprintf(stderr, "weir run: --fresh or --fresh=discard, not --fresh=%s\n", optarg);
				return EX_USAGE;
			}
			opts.wish = optarg ? WISH_DISCARD : WISH_FRESH;
			break;
		case 'h':
			print_help(stdout);
			return 0;
		default:
			print_help(stderr);
			return EX_USAGE;
		}
	}
	if (argc - optind != 1) {
		fputs("weir run: one FILE is needed\n\n", stderr);
		print_help(stderr);
		return EX_USAGE;
	}
	return run_file(argv[optind], &opts);
}
