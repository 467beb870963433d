/* SPDX-License-Identifier: MIT */
/* weir status: asks the runs below .weir/ (or the one named) where they stand. */
#include "cmd/ask.h"
#include "cmd/cmd.h"
#include "cmd/paths.h"

#include <dirent.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static void print_help(FILE *to)
{
	fputs("usage: weir status [--json] [--state DIR | RUN]\n\n"
	      "Shows where a run stands: the one called RUN, the one whose state folder is DIR,\n"
	      "or all that live in .weir/ below this folder.  Exit code 69 if there is none.\n\n"
	      "  --json    the answer as it comes, one JSON object a line\n"
	      "  --help\n",
	      to);
}

static long long number(const struct json *json, const char *name)
{
	const struct json *member = json_member(json, name);
	return member ? (long long)json_real(member) : 0;
}

static const char *text(const struct json *json, const char *name)
{
	const struct json *member = json_member(json, name);
	size_t len;
	return member && json_type(member) == JSON_TEXT ? json_text(member, &len) : "?";
}

static bool truth(const struct json *json, const char *name)
{
	const struct json *member = json_member(json, name);
	return member && json_type(member) == JSON_BOOL && json_bool(member);
}

/* How fast it goes, and why. */
static void print_flow(const struct json *flow)
{
	const struct json *rate = json_member(flow, "rate");
	printf("  at once: %lld%s", number(flow, "concurrency"), truth(flow, "auto") ? " (auto)" : "");
	if (rate && json_real(rate) > 0)
		printf(", at most %.1f/s (%s)", json_real(rate),
		       !strcmp(text(flow, "rate_from"), "told") ? "told by the server" : text(flow, "rate_from"));
	printf(", %lld x 429, breaker %s", number(flow, "throttled"), text(flow, "breaker"));
	if (number(flow, "breaker_opened"))
		printf(" (opened %lld times)", number(flow, "breaker_opened"));
	printf("\n  held back by: %s\n", text(flow, "why"));
	if (strcmp(text(flow, "choice"), "?") != 0)
		printf("  auto: %s\n", text(flow, "choice"));
}

static void print_status(const struct json *json)
{
	printf("%s: %s, pid %lld, %lld s\n", text(json, "name"), text(json, "state"), number(json, "pid"),
	       number(json, "wall_s"));
	printf("  %lld read", number(json, "read"));
	if (json_member(json, "total"))
		printf(" of %lld", number(json, "total"));
	printf(": %lld succeeded, %lld dead, %lld dropped, %lld unfinished\n", number(json, "succeeded"),
	       number(json, "dead"), number(json, "dropped"), number(json, "unfinished"));
	printf("  %lld/s, %lld in flight of %lld, %lld waiting for a retry, %lld retries", number(json, "per_s"),
	       number(json, "in_flight"), number(json, "concurrency"), number(json, "waiting"),
	       number(json, "retries"));
	if (json_member(json, "eta_s"))
		printf(", %lld s to go", number(json, "eta_s"));
	putchar('\n');
	if (json_member(json, "flow"))
		print_flow(json_member(json, "flow"));
}

/* 0, or a negative code when no run answers there. */
static int show(const char *folder, bool as_json, struct weir_error *err)
{
	struct buf answer = {0};
	struct json *json;
	int code = cmd_ask(folder, "status", &answer, &json, err);
	if (!code && as_json)
		fwrite(answer.data, 1, answer.len, stdout);
	else if (!code)
		print_status(json);
	json_free(json);
	buf_fini(&answer);
	return code;
}

static int show_one(const char *state, const char *run, bool as_json)
{
	struct weir_error err = {0};
	char *folder = cmd_state_folder(state, run);
	int code = folder ? show(folder, as_json, &err) : weir_error_set(&err, WEIR_ENOMEM, "out of memory");
	if (code)
		fprintf(stderr, "weir status: %s\n", err.text);
	free(folder);
	return cmd_exit_of(code);
}

static int show_all(bool as_json)
{
	int shown = 0;
	DIR *dir = opendir(".weir");
	struct dirent *entry;
	while (dir && (entry = readdir(dir))) {
		char *folder = entry->d_name[0] == '.' ? NULL : cmd_state_folder(NULL, entry->d_name);
		shown += folder && !show(folder, as_json, NULL);
		free(folder);
	}
	if (dir)
		closedir(dir);
	if (shown)
		return 0;
	fputs("weir status: no run is alive in .weir/ below this folder\n", stderr);
	return EX_UNAVAILABLE;
}

int cmd_status(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"state", required_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *state = NULL;
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
	if (argc - optind > (state ? 0 : 1) || (argc > optind && strchr(argv[optind], '/'))) {
		fputs("weir status: one RUN by its name, or --state DIR\n\n", stderr);
		print_help(stderr);
		return EX_USAGE;
	}
	if (!state && argc == optind)
		return show_all(as_json);
	return show_one(state, argv[optind], as_json);
}
