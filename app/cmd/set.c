/* SPDX-License-Identifier: MIT */
/* weir set: changes the limits of a run while it lives, through its control socket. */
#include "cmd/ask.h"
#include "cmd/changes.h"
#include "cmd/cmd.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static void print_help(FILE *to)
{
	fputs("usage: weir set RUN NAME=VALUE ...\n"
	      "       weir set --state DIR NAME=VALUE ...\n\n"
	      "Changes a run while it lives: the one called RUN in .weir/ below this folder,\n"
	      "or the one whose state folder is DIR.  All of it is changed, or nothing.  It\n"
	      "lasts until the run ends; the file of the pipeline stays as it is.\n\n"
	      "  concurrency=N       items at once; auto: found\n"
	      "  rate=N/s            calls in a time, as 1000/s, 60/m, 3/10s; none: no limit\n"
	      "                      of yours\n"
	      "  paused=true         nothing new is sent until paused=false\n"
	      "  --json              the run's answer as it comes, a JSON object\n"
	      "  --help\n",
	      to);
}

static void print_answer(const struct json *json)
{
	const struct json *flow = json_member(json, "flow"), *member = json_member(json, "name");
	size_t n;
	printf("%s: ", member ? json_text(member, &n) : "?");
	member = json_member(flow, "concurrency");
	printf("concurrency %.0f", member ? json_real(member) : 0.0);
	member = json_member(flow, "auto");
	if (member && json_bool(member))
		fputs(" (auto)", stdout);
	member = json_member(flow, "own_rate");
	printf(", rate %s", member && json_type(member) == JSON_TEXT ? json_text(member, &n) : "none");
	member = json_member(flow, "paused");
	puts(member && json_bool(member) ? ", paused" : "");
}

static int ask(const char *state, const char *run, const char *request, bool as_json, struct weir_error *err)
{
	struct buf answer = {0};
	struct json *json;
	int code = cmd_ask(state, run, request, &answer, &json, err);
	if (!code && as_json)
		fwrite(answer.data, 1, answer.len, stdout);
	else if (!code)
		print_answer(json);
	json_free(json);
	buf_fini(&answer);
	return code;
}

static int change(const char *state, const char *run, char **words, int n, bool as_json)
{
	struct weir_error err = {0};
	struct engine_changes changes;
	struct buf request = {0};
	buf_add_str(&request, "set");
	for (int i = 0; i < n; i++)
		buf_addf(&request, " %s", words[i]);
	int code = !request.failed ? changes_parse(request.data + strlen("set"), &changes, &err)
				   : weir_error_set(&err, WEIR_ENOMEM, "out of memory");
	if (!code)
		code = ask(state, run, request.data, as_json, &err);
	if (code)
		fprintf(stderr, "weir set: %s\n", err.text);
	buf_fini(&request);
	return cmd_exit_of(code);
}

int cmd_set(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"state", required_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *state = NULL, *run = NULL;
	bool as_json = false;
	int option;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		if (option == 'h') {
			print_help(stdout);
			return 0;
		}
		if (option == 'j')
			as_json = true;
		else if (option == 'd')
			state = optarg;
		else {
			print_help(stderr);
			return EX_USAGE;
		}
	}
	if (!state && optind < argc && !strpbrk(argv[optind], "=/"))
		run = argv[optind++];
	if ((!state && !run) || optind == argc) {
		fputs(optind == argc ? "weir set: what? NAME=VALUE, one or more\n\n"
				     : "weir set: which run? RUN by its name, or --state DIR\n\n",
		      stderr);
		print_help(stderr);
		return EX_USAGE;
	}
	return change(state, run, argv + optind, argc - optind, as_json);
}
