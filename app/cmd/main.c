/* SPDX-License-Identifier: MIT */
/* weir: looks up the verb and hands over. */
#include "cmd/cmd.h"
#include "data/names.h"
#include "data/terminal.h"
#include "http/client.h"
#include "sqlite/store/store.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const struct verb {
	const char *name, *text;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{"run", "run a pipeline from a YAML file", cmd_run},
	{"submit", "fill the broker of a pipeline that others work on", cmd_submit},
	{"work", "process what was submitted, with as many others as you like", cmd_work},
	{"get", "fetch a list of URLs, one JSON record each", cmd_get},
	{"init", "write a commented pipeline file to start from", cmd_init},
	{"check", "check a pipeline file; --explain shows all settings", cmd_check},
	{"try", "show what a pipeline does to its first items; stores nothing", cmd_try},
	{"list", "show the components of a pipeline and their keys", cmd_list},
	{"status", "show where runs stand, alive or not, and what to type next", cmd_status},
	{"history", "show what runs have done, second by second or hour by hour", cmd_history},
	{"set", "change the limits of a running pipeline", cmd_set},
	{"pause", "send nothing new until `weir resume`", cmd_pause},
	{"resume", "continue a running pipeline that is paused", cmd_resume},
	{"dead", "show, replay, export or purge the dead letters of a run", cmd_dead},
	{"state", "verify, export or remove the state of a run", cmd_state},
	{"mock", "start a test server: slow, limited, faulty", cmd_mock},
	{"bench", "compare patterns for slow jobs on this machine", cmd_bench},
};

enum { VERBS = sizeof verbs / sizeof verbs[0] };

static void print_help(FILE *to)
{
	fputs("usage: weir VERB [ARGUMENT ...]\n\n"
	      "Runs many slow jobs, such as calls of an API: as fast as the service allows, in\n"
	      "bounded memory, without losing one.\n\n",
	      to);
	for (size_t i = 0; i < VERBS; i++)
		fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].text);
	fputs("\n`weir help VERB` shows the options of a verb, `weir version` the version.\n\n"
	      "Exit codes: 0 done, 3 done with dead letters, 4 accounts do not match, 5 stopped\n"
	      "by a signal, 6 stopped by stop_when, 64 usage, 69 something it needs is not\n"
	      "available (run, sink, broker, descriptors), 74 input or output, 75 state in use,\n"
	      "no answer, or another submit is running, 78 config, 128+n a second signal n.\n"
	      "After 5 and 6 the same command resumes.\n",
	      to);
}

static int refuse_verb(const char *name)
{
	struct names names = {0};
	char hint[80];
	for (size_t i = 0; i < VERBS; i++)
		names_add(&names, verbs[i].name);
	names_add(&names, "help");
	names_add(&names, "version");
	terminal_complain("weir", "unknown verb \"%.80s\"%s", name, names_hint(&names, name, hint));
	fputs("`weir --help` shows the verbs\n", stderr);
	return EX_USAGE;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERBS; i++)
		if (!strcmp(name, verbs[i].name))
			return &verbs[i];
	return NULL;
}

/* `weir help VERB` is `weir VERB --help`. */
static int help(const char *name)
{
	char *argv[] = {(char *)(uintptr_t)name, "--help", NULL};
	const struct verb *verb = find_verb(name);
	if (verb)
		return cmd_run_verb(verb->run, 2, argv);
	if (*name)
		return refuse_verb(name);
	print_help(stdout);
	return cmd_end_output(0);
}

/* What a report of a fault should name; libuv and jq do not say theirs, so it is that of the build. */
static int print_version(void)
{
	char http[80];
	http_version(http);
	printf("weir " WEIR_VERSION "\n%s, SQLite %s, libuv " WEIR_LIBUV ", jq " WEIR_JQ "\n", http, store_version());
	return cmd_end_output(0);
}

static bool is_one_of(const char *name, const char *const *words)
{
	while (*words && strcmp(*words, name) != 0)
		words++;
	return *words;
}

int main(int argc, char **argv)
{
	static const char *const help_words[] = {"help", "--help", "-h", NULL};
	static const char *const version_words[] = {"version", "--version", "-V", NULL};
	const char *name = argc > 1 ? argv[1] : "";
	const struct verb *verb = find_verb(name);
	if (verb)
		return cmd_run_verb(verb->run, argc - 1, argv + 1);
	if (is_one_of(name, help_words))
		return help(argc > 2 ? argv[2] : "");
	if (is_one_of(name, version_words))
		return print_version();
	if (*name)
		return refuse_verb(name);
	print_help(stderr);
	return EX_USAGE;
}
