/* SPDX-License-Identifier: MIT */
/* What is promised of auto, and whether it holds. */
#include "sim/sim.h"

#include <stdio.h>

int sim_run_seeds(const struct sim_model *model, enum sim_controller controller, unsigned seeds,
		  struct sim_survey *ret_survey)
{
	static struct sim_result result;
	struct sim_survey worst = {.share = 9, .score = 9};
	for (unsigned seed = 1; seed <= seeds; seed++) {
		int code =
			sim_run(&(struct sim_options){.model = model, .controller = controller, .seed = seed}, &result);
		if (code)
			return code;
		double share = sim_share(&result.settled), rejected = sim_rejected(&result.settled);
		worst.share = share < worst.share ? share : worst.share;
		worst.rejected = rejected > worst.rejected ? rejected : worst.rejected;
		worst.score = sim_score(&result.all) < worst.score ? sim_score(&result.all) : worst.score;
		if (worst.to_90 >= 0 && (result.to_90 < 0 || result.to_90 > worst.to_90))
			worst.to_90 = result.to_90;
		worst.refused = result.all.rejected > worst.refused ? result.all.rejected : worst.refused;
	}
	*ret_survey = worst;
	return 0;
}

unsigned sim_seeds_of_others(const struct sim_model *model, unsigned seeds)
{
	return model->flags & SIM_MOVING && model->change != SIM_STEPS ? seeds : 1;
}

static bool keeps(bool holds, const struct sim_model *model, const char *promise, double value)
{
	if (!holds)
		printf("%s: %s: %.4f\n", model->name, promise, value);
	return holds;
}

/* Throughput from ten seconds after each step on until the next one. */
static double worst_after_steps(const struct sim_result *result)
{
	double worst = 9;
	for (size_t third = 0; third < 3; third++) {
		struct sim_tally sum = {0};
		size_t from = third * result->tick_count / 3 + (size_t)(10 / result->tick);
		for (size_t i = from; i < (third + 1) * result->tick_count / 3; i++) {
			sum.good += result->ticks[i].good;
			sum.possible += result->ticks[i].possible;
		}
		worst = sim_share(&sum) < worst ? sim_share(&sum) : worst;
	}
	return worst;
}

static int check_steps(const struct sim_model *model, unsigned seeds, unsigned *kept)
{
	static struct sim_result result;
	double worst = 9;
	for (unsigned seed = 1; seed <= seeds; seed++) {
		int code = sim_run(&(struct sim_options){.model = model, .seed = seed}, &result);
		if (code)
			return code;
		double share = worst_after_steps(&result);
		worst = share < worst ? share : worst;
	}
	bool holds = keeps(worst >= 0.95, model, "of the limit, ten seconds after it changed", worst);
	*kept += holds;
	return !holds;
}

static int check_stationary(const struct sim_model *model, const struct sim_survey *survey, unsigned *kept)
{
	unsigned holds = keeps(survey->share >= 0.95, model, "share of the possible", survey->share);
	holds += keeps(survey->rejected <= 0.005, model, "share rejected", survey->rejected);
	*kept += holds;
	return 2 - (int)holds;
}

static int check_others(const struct sim_model *model, const struct sim_survey *survey, unsigned seeds, unsigned *kept)
{
	double best = 0;
	for (enum sim_controller other = SIM_AIMD; other <= SIM_ARC; other++) {
		struct sim_survey theirs;
		int code = sim_run_seeds(model, other, seeds, &theirs);
		if (code)
			return code;
		best = theirs.score > best ? theirs.score : best;
	}
	bool holds = keeps(survey->score >= best - 0.01, model, "throughput x (1 - rejected), behind another",
			   survey->score - best);
	if (model->flags & SIM_HEADROOM)
		holds &=
			keeps(survey->score >= best + 0.05, model, "clearly ahead of the others", survey->score - best);
	*kept += holds;
	return !holds;
}

int sim_check(const struct sim_model *model, unsigned seeds, bool beside_others, unsigned *kept)
{
	struct sim_survey survey;
	int broken = 0;
	int code = sim_run_seeds(model, SIM_AUTO, seeds, &survey);
	if (!code && !(model->flags & SIM_MOVING))
		broken += check_stationary(model, &survey, kept);
	if (!code && model->change == SIM_STEPS && !model->cap)
		code = check_steps(model, seeds, kept);
	if (code >= 0 && beside_others) {
		broken += code;
		code = check_others(model, &survey, sim_seeds_of_others(model, seeds), kept);
	}
	return code < 0 ? code : broken + code;
}
