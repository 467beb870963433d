/* SPDX-License-Identifier: MIT */
/* weir status: asks the runs below .weir/ (or the one named) where they stand. */
#include "cmd/ask.h"
#include "cmd/cmd.h"
#include "cmd/report.h"

#include <dirent.h>
#include <getopt.h>
#include <stdio.h>
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

static double real(const struct json *json, const char *name)
{
	const struct json *member = json_member(json, name);
	return member ? json_real(member) : 0;
}

/* How many at once, how fast: what is held to.  A rate that was found is told when it is what holds back. */
static void print_limits(const struct json *flow)
{
	const char *from = text(flow, "rate_from");
	bool is_found = !strcmp(from, "found");
	printf("  at once: %lld%s", number(flow, "concurrency"), truth(flow, "auto") ? " (auto)" : "");
	if (real(flow, "rate") > 0 && (!is_found || strstr(text(flow, "why"), from)))
		printf(", at most %.1f/s (%s)", real(flow, "rate"),
		       !strcmp(from, "told") ? "told by the server" : from);
	printf(", %lld x 429, breaker %s", number(flow, "throttled"), text(flow, "breaker"));
	if (number(flow, "breaker_opened") > 1)
		printf(" (opened %lld times)", number(flow, "breaker_opened"));
	else if (number(flow, "breaker_opened"))
		fputs(" (opened once)", stdout);
	putchar('\n');
}

/* One sentence, and what can be done about it. */
static void print_why(const struct json *flow, const char *name)
{
	const char *upstream = number(flow, "upstreams") == 1 ? text(flow, "upstream") : "an upstream";
	const char *why = text(flow, "why"), *last = text(flow, "last_failure");
	char seconds[32];
	fputs("  held back by: ", stdout);
	if (truth(flow, "paused"))
		printf("pause; `weir set %s paused=false` goes on\n", name);
	else if (!strcmp(text(flow, "breaker"), "open") || !strcmp(text(flow, "breaker"), "half-open"))
		printf("%s, %s failed too often%s%s%s\n", why, upstream, *last == '?' ? "" : " (",
		       *last == '?' ? "" : last, *last == '?' ? "" : ")");
	else if (json_member(flow, "shut_s"))
		printf("%s, %s opens in %s\n", why, upstream, report_seconds(real(flow, "shut_s"), seconds));
	else
		puts(why);
}

/* Classes of priority that are to begin in time. */
static void print_classes(const struct json *flow)
{
	const struct json *classes = json_member(flow, "classes"), *class;
	char seconds[32];
	size_t at = 0;
	while (classes && (class = json_next(classes, &at, NULL)))
		printf("  class %lld: %lld of %lld began later than %s\n", number(class, "class"),
		       number(class, "late"), number(class, "begun"), report_seconds(real(class, "sla_s"), seconds));
}

static void print_status(const struct json *json)
{
	const struct json *flow = json_member(json, "flow");
	char seconds[32];
	printf("%s: %s, pid %lld, %s\n", text(json, "name"), text(json, "state"), number(json, "pid"),
	       report_seconds(real(json, "wall_s"), seconds));
	printf("  %lld read", number(json, "read"));
	if (json_member(json, "total"))
		printf(" of %lld", number(json, "total"));
	printf(": %lld succeeded, %lld dead, %lld dropped, %lld unfinished\n", number(json, "succeeded"),
	       number(json, "dead"), number(json, "dropped"), number(json, "unfinished"));
	printf("  %lld/s, %lld in flight, %lld in line, %lld waiting for their time, %lld retries",
	       number(json, "per_s"), number(json, "in_flight"), number(json, "in_line"), number(json, "waiting"),
	       number(json, "retries"));
	if (json_member(json, "eta_s"))
		printf(", %s to go", report_seconds(real(json, "eta_s"), seconds));
	putchar('\n');
	if (!flow)
		return;
	print_limits(flow);
	print_why(flow, text(json, "name"));
	print_classes(flow);
	if (strcmp(text(flow, "choice"), "?") != 0)
		printf("  auto: %s\n", text(flow, "choice"));
}

/* 0, or a negative code when no run answers there. */
static int show(const char *state, const char *run, bool as_json, struct weir_error *err)
{
	struct buf answer = {0};
	struct json *json;
	int code = cmd_ask(state, run, "status", &answer, &json, err);
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
	int code = show(state, run, as_json, &err);
	if (code)
		fprintf(stderr, "weir status: %s\n", err.text);
	return cmd_exit_of(code);
}

static int show_all(bool as_json)
{
	int shown = 0;
	DIR *dir = opendir(".weir");
	struct dirent *entry;
	while (dir && (entry = readdir(dir)))
		shown += entry->d_name[0] != '.' && !show(NULL, entry->d_name, as_json, NULL);
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
