/* SPDX-License-Identifier: MIT */
/* weir check: reads and checks a pipeline file, opens nothing, sends nothing. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "cmd/cmd.h"
#include "cmd/paths.h"
#include "spec/plan.h"

static const char usage[] = "usage: weir check [--explain] FILE\n";

static const char help[] = "usage: weir check [--explain] FILE\n"
			   "\n"
			   "Checks a pipeline file: its keys and values, the files it names, its jq\n"
			   "programs.  Sends no request and writes nothing.  Exit code 0: all right; 78: an\n"
			   "error, shown as FILE:LINE:COLUMN: TEXT.\n"
			   "\n"
			   "  --explain   print the effective config: each key with its value, defaults\n"
			   "              marked, secrets hidden\n"
			   "  --help      this text\n";

static int print_all(const char *text)
{
	if (fputs(text, stdout) >= 0 && fflush(stdout) == 0)
		return EXIT_SUCCESS;
	perror("weir check: standard output");
	return EX_IOERR;
}

static int check_file(const char *path, bool explain)
{
	struct plan *plan;
	struct weir_error err = {0};
	char *jq = cmd_helper_path("weir-jq");
	int code = spec_load(path, &(struct spec_options){.jq_path = jq}, &plan, &err);
	free(jq);
	if (code < 0) {
		cmd_print_error(&err);
		return EX_CONFIG;
	}
	if (explain) {
		code = print_all(plan->explained);
	} else {
		printf("%s: ", path);
		code = print_all("ok\n");
	}
	plan_free(plan);
	return code;
}

int cmd_check(int argc, char **argv)
{
	static const struct option options[] = {
		{"explain", no_argument, NULL, 'e'}, {"help", no_argument, NULL, 'h'}, {0}};
	bool explain = false;
	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		if (c == 'h')
			return print_all(help);
		if (c != 'e') {
			fputs(usage, stderr);
			return EX_USAGE;
		}
		explain = true;
	}
	if (optind != argc - 1) {
		fputs(usage, stderr);
		return EX_USAGE;
	}
	return check_file(argv[optind], explain);
}
