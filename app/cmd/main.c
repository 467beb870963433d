/* SPDX-License-Identifier: MIT */
/* weir: looks up the verb and hands over.  What must be done once, before any thread, is done here. */
#include "cmd/cmd.h"
#include "http/http.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const struct verb {
	const char *name, *text;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{"run", "run a pipeline from a YAML file", cmd_run},
	{"get", "fetch a list of URLs, one JSON record each", cmd_get},
	{"init", "write a pipeline file to begin with", cmd_init},
	{"check", "check a pipeline file; --explain shows all settings", cmd_check},
	{"list", "show what can stand in a pipeline, and its keys", cmd_list},
	{"dead", "look at the dead letters of a run, send them round again", cmd_dead},
	{"state", "check, export or remove the durable state of a run", cmd_state},
	{"set", "change the limits of a run while it lives, or pause it", cmd_set},
	{"status", "show where a run stands", cmd_status},
	{"mock", "an upstream to try things on: slow, limited, faulty", cmd_mock},
	{"bench", "patterns for slow jobs: published, possible, measured here", cmd_bench},
};

enum { VERBS = sizeof verbs / sizeof verbs[0] };

static void print_help(FILE *to)
{
	fputs("usage: weir VERB [ARGUMENT ...]\n\n"
	      "Puts a mountain of slow jobs through a narrow gate: as fast as the gate allows,\n"
	      "in bounded memory, without losing one.\n\n",
	      to);
	for (size_t i = 0; i < VERBS; i++)
		fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].text);
	fputs("\n`weir VERB --help` says more.  Exit codes: 0 done, 3 done with dead letters,\n"
	      "4 accounts do not match, 5 stopped and can go on, 64 usage, 69 sink or broker\n"
	      "unavailable, 74 input or output, 75 state in use, 78 config, 128+n a second\n"
	      "signal n.\n",
	      to);
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (http_global_init()) {
		fputs("weir: libcurl cannot be used\n", stderr);
		return EX_UNAVAILABLE;
	}
	return verb->run(argc, argv);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	for (size_t i = 0; i < VERBS; i++)
		if (!strcmp(name, verbs[i].name))
			return run_verb(&verbs[i], argc - 1, argv + 1);
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		print_help(stdout);
		return 0;
	}
	if (!strcmp(name, "--version")) {
		puts("weir " WEIR_VERSION);
		return 0;
	}
	if (*name)
		fprintf(stderr, "weir: there is no verb '%s'\n\n", name);
	print_help(stderr);
	return EX_USAGE;
}
