/* SPDX-License-Identifier: MIT */
/*
 * weir-sim: the table of docs/flow.md.
 *
 *     weir-sim                            the table, as text
 *     weir-sim --markdown                 and as it stands in the docs
 *     weir-sim --check                    whether what is promised of auto holds; ends with "N passed, N failed"
 *     weir-sim --trace S MODEL [KIND [SEED]]   one run, a line every S seconds
 */
#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sim_model *find_model(const char *name)
{
	for (size_t i = 0; i < sim_model_count; i++)
		if (!strcmp(sim_models[i].name, name))
			return &sim_models[i];
	return NULL;
}

static struct sim_result result;

static int one(const char *trace, const char *name, const char *kind, const char *seed)
{
	struct sim_options opts = {.model = find_model(name), .seed = strtoull(seed, NULL, 10), .trace = atof(trace)};
	if (!opts.model)
		return 2;
	while (opts.controller < SIM_CONTROLLERS && strcmp(sim_controller_name(opts.controller), kind) != 0)
		opts.controller++;
	if (sim_run(&opts, &result))
		return 1;
	printf("share %.4f rejected %.4f score %.4f  settled: share %.4f rejected %.4f  to 90%%: %.1f s  refused "
	       "%llu\n",
	       sim_share(&result.all), sim_rejected(&result.all), sim_score(&result.all), sim_share(&result.settled),
	       sim_rejected(&result.settled), result.to_90, (unsigned long long)result.all.rejected);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 4 && !strcmp(argv[1], "--trace"))
		return one(argv[2], argv[3], argc > 4 ? argv[4] : "auto", argc > 5 ? argv[5] : "1");
	int seeds = argc > 1 ? atoi(argv[1]) : 1;
	int controllers = argc > 2 ? atoi(argv[2]) : SIM_CONTROLLERS;
	for (size_t m = 0; m < sim_model_count; m++) {
		if (argc > 3 && !strstr(sim_models[m].name, argv[3]))
			continue;
		printf("%-16s", sim_models[m].name);
		for (int c = 0; c < controllers; c++) {
			double share = 9, rejected = 0, score = 9, to_90 = 0, ashare = 9;
			uint64_t refused = 0;
			for (int seed = 1; seed <= seeds; seed++) {
				struct sim_options opts = {.model = &sim_models[m],
							   .controller = (enum sim_controller)c,
							   .seed = (uint64_t)seed};
				if (sim_run(&opts, &result))
					return 1;
				share = share < sim_share(&result.settled) ? share : sim_share(&result.settled);
				ashare = ashare < sim_share(&result.all) ? ashare : sim_share(&result.all);
				score = score < sim_score(&result.all) ? score : sim_score(&result.all);
				rejected = rejected > sim_rejected(&result.settled) ? rejected
										    : sim_rejected(&result.settled);
				to_90 = to_90 > result.to_90 && result.to_90 >= 0 ? to_90 : result.to_90;
				refused = refused > result.all.rejected ? refused : result.all.rejected;
			}
			if (c == 0)
				printf(" %s %6.1f%% -%5.2f%% %6.1fs %6llu all %5.1f%% sc %6.1f |",
				       share < .95 || rejected > .005 ? sim_models[m].flags & SIM_MOVING ? "~~" : "!!"
								      : "  ",
				       100 * share, 100 * rejected, to_90, (unsigned long long)refused, 100 * ashare,
				       100 * score);
			else
				printf(" %6.1f", 100 * score);
		}
		printf("\n");
		fflush(stdout);
	}
	return 0;
}
