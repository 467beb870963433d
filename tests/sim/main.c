/* SPDX-License-Identifier: MIT */
/*
 * weir-sim: limits that are found, on simulated upstreams.
 *
 *     weir-sim [--seeds N] [MODEL ...]          the table, as text; all models, or those whose name has that part
 *     weir-sim [--seeds N] --markdown           and as it stands in docs/flow.md
 *     weir-sim [--seeds N] --check [MODEL ...]  whether what is promised there holds; "N passed, N failed" at the end
 *     weir-sim --trace S MODEL [KIND [SEED]]    one run, a line every S seconds
 */
#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KINDS = SIM_CONTROLLERS, SEEDS = 5 };

static int trace(int argc, char **argv)
{
	static struct sim_result result;
	struct sim_options opts = {.seed = argc > 5 ? strtoull(argv[5], NULL, 10) : 1, .trace = atof(argv[2])};
	for (size_t i = 0; i < sim_model_count; i++)
		if (!strcmp(sim_models[i].name, argv[3]))
			opts.model = &sim_models[i];
	while (argc > 4 && opts.controller < KINDS - 1 && strcmp(sim_controller_name(opts.controller), argv[4]) != 0)
		opts.controller++;
	if (!opts.model || sim_run(&opts, &result))
		return 1;
	printf("share %.3f, settled %.3f; rejected %.4f, settled %.4f; 90 %% after %.1f s; refused %llu\n",
	       sim_share(&result.all), sim_share(&result.settled), sim_rejected(&result.all),
	       sim_rejected(&result.settled), result.to_90, (unsigned long long)result.all.rejected);
	return 0;
}

static const char *mark(const struct sim_model *model)
{
	return model->flags & SIM_MOVING ? "moves" : "yes";
}

static void print_text(const struct sim_model *model, const struct sim_survey *surveys)
{
	const struct sim_survey *ours = &surveys[SIM_AUTO];
	printf("%-16s %-5s %5.1f %5.2f %5.1f s |", model->name, mark(model), 100 * ours->share, 100 * ours->rejected,
	       ours->to_90);
	for (int kind = 0; kind < KINDS; kind++)
		printf(" %5.1f", 100 * surveys[kind].score);
	printf("\n");
}

static void print_markdown(const struct sim_model *model, const struct sim_survey *surveys)
{
	const struct sim_survey *ours = &surveys[SIM_AUTO];
	printf("| %s | %s | %.1f | %.2f |", model->what, mark(model), 100 * ours->share, 100 * ours->rejected);
	if (ours->to_90 < 0)
		printf(" – |");
	else
		printf(" %.1f |", ours->to_90);
	double best = 0;
	for (int kind = 0; kind < SIM_FIXED_50; kind++)
		best = surveys[kind].score > best ? surveys[kind].score : best;
	for (int kind = 0; kind < KINDS; kind++) {
		bool is_best = kind < SIM_FIXED_50 && surveys[kind].score >= best - 0.0005;
		printf(is_best ? " **%.1f** |" : " %.1f |", 100 * surveys[kind].score);
	}
	printf("\n");
}

static void print_heading(bool markdown)
{
	if (!markdown) {
		printf("%-16s %-5s %5s %5s %7s |", "", "kept", "share", "rej.", "90 %");
		for (int kind = 0; kind < KINDS; kind++)
			printf(" %5.5s", sim_controller_name((enum sim_controller)kind));
		printf("\n");
		return;
	}
	printf("| upstream | promised | share %% | rejected %% | s to 90 %% |");
	for (int kind = 0; kind < KINDS; kind++)
		printf(" %s |", sim_controller_name((enum sim_controller)kind));
	printf("\n|---|---|--:|--:|--:|");
	for (int kind = 0; kind < KINDS; kind++)
		printf("--:|");
	printf("\n");
}

static bool is_wanted(const struct sim_model *model, char **parts)
{
	for (char **part = parts; *part; part++)
		if (strstr(model->name, *part))
			return true;
	return !*parts;
}

static int table(unsigned seeds, bool markdown, char **parts)
{
	print_heading(markdown);
	for (size_t i = 0; i < sim_model_count; i++) {
		struct sim_survey surveys[KINDS];
		if (!is_wanted(&sim_models[i], parts))
			continue;
		for (int kind = 0; kind < KINDS; kind++)
			if (sim_run_seeds(&sim_models[i], (enum sim_controller)kind,
					  kind == SIM_AUTO ? seeds : sim_seeds_of_others(&sim_models[i], seeds),
					  &surveys[kind]))
				return 1;
		(markdown ? print_markdown : print_text)(&sim_models[i], surveys);
		fflush(stdout);
	}
	return 0;
}

/* WEIR_TEST_SHARD=I/N: only the I-th of N parts (tests/support/sharded). */
static int check(unsigned seeds, char **parts)
{
	const char *shard = getenv("WEIR_TEST_SHARD");
	unsigned kept = 0, part = 0, of = 1;
	int broken = 0;
	if (shard && (sscanf(shard, "%u/%u", &part, &of) != 2 || !of))
		return 2;
	for (size_t i = 0; i < sim_model_count; i++) {
		if ((i + i / of) % of != part || !is_wanted(&sim_models[i], parts))
			continue;
		int code = sim_check(&sim_models[i], seeds, true, &kept);
		if (code < 0)
			return 1;
		broken += code;
	}
	printf("%u passed, %d failed\n", kept, broken);
	return broken != 0;
}

int main(int argc, char **argv)
{
	unsigned seeds = SEEDS;
	bool markdown = false, checks = false;
	if (argc >= 4 && !strcmp(argv[1], "--trace"))
		return trace(argc, argv);
	for (argv++; *argv && !strncmp(*argv, "--", 2); argv++) {
		if (!strcmp(*argv, "--seeds") && argv[1] && atoi(argv[1]) > 0) {
			seeds = (unsigned)atoi(*++argv);
		} else if (!strcmp(*argv, "--markdown")) {
			markdown = true;
		} else if (!strcmp(*argv, "--check")) {
			checks = true;
		} else {
			fprintf(stderr, "weir-sim: unknown option %s; see the head of tests/sim/main.c\n", *argv);
			return 2;
		}
	}
	return checks ? check(seeds, argv) : table(seeds, markdown, argv);
}
