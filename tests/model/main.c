/* SPDX-License-Identifier: MIT */
/* weir-model: the scripts of Redis as a model (model.h).  scripts/model starts the server and this. */
#include "model/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AT_ONCE = 48 };

static const struct setup setups[] = {
	{.name = "key"},
	{.name = "ledger", .ledger = true},
	{.name = "classes", .classes = true},
	{.name = "rollback", .rollback = true},
	{.name = "ledger-rollback", .ledger = true, .rollback = true, .classes = true},
	{.name = "stranger", .stranger = true},
	{.name = "poison", .poison = true},
	{.name = "clock", .clock = true},
	{.name = "pruned", .ledger = true, .prune = true, .rollback = true}, /* for a mutant only */
};

enum { SETUPS = sizeof setups / sizeof *setups - 1 };

static const struct mutant mutants[] = {
	{"ledger", "pruned", REDIS_SCRIPTS, NULL, NULL},
	{"cursor", "key", REDIS_ENQ, "cursor = call('HGET', RUN, 'cursor')", "cursor = ARGV[3]"},
	{"suspects", "poison", REDIS_TAKE, "if held.err or not held[1] then deliver(SUSPECT, 1) end",
	 "deliver_all(SUSPECT)"},
	{"settled", "rollback", REDIS_DONE, "if call('XACK', key, 'w', unpack(list)) == #list then\n",
	 "settled = settled + call('XACK', key, 'w', unpack(list)) call('XDEL', key, unpack(list)) if true then "
	 "elseif true then\n"},
	{"sweep", "stranger", REDIS_SWEEP, "call('XDEL', stream, id)\n      put_back(entry)", ""},
	{"kept", "key", REDIS_SCRIPTS, "entry.s, entry.m = string.match(kept, '^(%d+) %d+ (.*)$')", ""},
	{"newest", "key", REDIS_KEEP, "tonumber(ARGV[i + 2]) > tonumber(newest or 0)", "true"},
	{"deaths", "poison", REDIS_REAP, "entry.d = tonumber(entry.d) + 1", "entry.d = tonumber(entry.d)"},
	{"shares", "key", REDIS_MEET, "math.min(tonumber(wants), free)", "tonumber(wants)"},
	{"late", "key", REDIS_MEET, "if number <= tonumber(call('HGET', ALIVE, worker)) then return {'LATE'} end", ""},
};

static struct {
	const struct setup *setup;
	const struct mutant *mutant;
	const char *url;
	uint64_t seed, runs;
	bool verbose;
} options = {.runs = 1000};

static struct progress {
	struct redis *redis;
	struct scripts scripts;
	uint64_t next, done, findings;
	struct stats stats;
} progress;

static void add_stats(const struct stats *from)
{
	const uint64_t *source = &from->calls;
	uint64_t *to = &progress.stats.calls;
	for (size_t i = 0; i < sizeof *from / sizeof *to; i++)
		to[i] += source[i];
}

/* Takes trials until there are none left; a mutant needs to be found once only. */
static int run_trials(void *arg)
{
	(void)arg;
	while (progress.next < options.runs && !(options.mutant && progress.findings)) {
		struct trial trial = {.setup = options.setup,
				      .scripts = &progress.scripts,
				      .redis = progress.redis,
				      .seed = options.seed + progress.next++};
		model_trial(&trial);
		progress.done++;
		add_stats(&trial.stats);
		if (*trial.finding && (progress.findings++ < 5 || options.verbose))
			printf("  seed %" PRIu64 ": %s\n", trial.seed, trial.finding);
	}
	return 0;
}

static int run_all(void *arg)
{
	(void)arg;
	struct weir_error err;
	int code = redis_open(&(struct redis_options){.url = options.url}, &progress.redis, &err, WEIR_FOREVER);
	if (code) {
		fprintf(stderr, "weir-model: %s\n", err.text);
		return code;
	}
	model_scripts_init(&progress.scripts, options.mutant);
	struct weir_group_part part = {.fn = run_trials, .fibers = AT_ONCE};
	code = weir_group_run(&part, 1, WEIR_FOREVER);
	model_scripts_fini(&progress.scripts);
	redis_close(progress.redis);
	return code;
}

static const struct setup *find_setup(const char *name)
{
	for (size_t i = 0; i <= SETUPS; i++)
		if (!strcmp(setups[i].name, name))
			return &setups[i];
	return NULL;
}

static const struct mutant *find_mutant(const char *name)
{
	for (size_t i = 0; i < sizeof mutants / sizeof *mutants; i++)
		if (!strcmp(mutants[i].name, name))
			return &mutants[i];
	return NULL;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: weir-model --url URL [--seed N] [--runs N] [--all-findings] SETUP | --without RULE | --list\n"
		"setups:");
	for (size_t i = 0; i < SETUPS; i++)
		fprintf(stderr, " %s", setups[i].name);
	fprintf(stderr, "\nrules:");
	for (size_t i = 0; i < sizeof mutants / sizeof *mutants; i++)
		fprintf(stderr, " %s", mutants[i].name);
	fprintf(stderr, "\n");
	return 64;
}

static int list(void)
{
	for (size_t i = 0; i < SETUPS; i++)
		printf("%s\n", setups[i].name);
	for (size_t i = 0; i < sizeof mutants / sizeof *mutants; i++)
		printf("--without %s\n", mutants[i].name);
	return 0;
}

static bool parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		bool has_value = i + 1 < argc;
		if (!strcmp(argv[i], "--url") && has_value)
			options.url = argv[++i];
		else if (!strcmp(argv[i], "--seed") && has_value)
			options.seed = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--runs") && has_value)
			options.runs = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--all-findings"))
			options.verbose = true;
		else if (!strcmp(argv[i], "--without") && has_value)
			options.mutant = find_mutant(argv[++i]);
		else
			options.setup = find_setup(argv[i]);
	}
	if (options.mutant)
		options.setup = find_setup(options.mutant->setup);
	return options.setup && options.url;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--list"))
		return list();
	if (!parse(argc, argv))
		return usage();
	struct timespec began, ended;
	clock_gettime(CLOCK_MONOTONIC, &began);
	if (weir_run(NULL, run_all, NULL) < 0)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &ended);
	double seconds = (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9;
	const struct stats *stats = &progress.stats;
	printf("%s%s: %" PRIu64 " runs, %" PRIu64 " with findings, %.0f a second; %" PRIu64 " items, %" PRIu64
	       " calls, %" PRIu64 " late, %" PRIu64 " kill -9, %" PRIu64 " taken out, %" PRIu64 " fenced, %" PRIu64
	       " reaped, %" PRIu64 " rollbacks, %" PRIu64 " strange\n",
	       options.mutant ? "without " : "", options.mutant ? options.mutant->name : options.setup->name,
	       progress.done, progress.findings, (double)progress.done / seconds, stats->items, stats->calls,
	       stats->late, stats->kills, stats->taken_out, stats->fenced, stats->reaped, stats->rollbacks,
	       stats->strange);
	return options.mutant ? !progress.findings : progress.findings != 0;
}
