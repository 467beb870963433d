/* SPDX-License-Identifier: MIT */
/*
 * A limit on concurrency: which law moves it (adapt_law.h), and between what.
 */
#include "policy/adapt_law.h"

#include <stdlib.h>

static const struct weir__adapt_law *const laws[] = {
	[WEIR__ADAPT_AUTO] = &weir__adapt_auto,   [WEIR__ADAPT_AIMD] = &weir__adapt_aimd,
	[WEIR__ADAPT_VEGAS] = &weir__adapt_vegas, [WEIR__ADAPT_GRADIENT2] = &weir__adapt_gradient2,
	[WEIR__ADAPT_ARC] = &weir__adapt_arc,
};

static size_t either(size_t value, size_t otherwise)
{
	return value ? value : otherwise;
}

static double clamp(double value, double least, double most)
{
	return value < least ? least : value > most ? most : value;
}

int weir__adapt_new(const struct weir__adapt_options *opts, struct weir__adapt **ret_adapt)
{
	if ((size_t)opts->kind >= sizeof laws / sizeof laws[0])
		return WEIR_EINVAL;
	const struct weir__adapt_law *law = laws[opts->kind];
	size_t most = either(opts->most, law->most);
	size_t least = either(opts->least, law->least < most ? law->least : most);
	if (most < least && !opts->most)
		most = least;
	if (most < least || most > WEIR__ADAPT_MOST)
		return WEIR_EINVAL;
	struct weir__adapt *adapt = calloc(1, sizeof *adapt);
	if (!adapt)
		return WEIR_ENOMEM;
	adapt->law = law;
	adapt->least = (double)least;
	adapt->most = (double)most;
	double start = opts->snapshot >= 1 ? opts->snapshot : (double)either(opts->start, law->start);
	adapt->limit = clamp(start, adapt->least, adapt->most);
	adapt->min_latency = opts->min_latency;
	adapt->from_snapshot = opts->snapshot >= 1;
	adapt->random = opts->seed;
	if (law->init)
		law->init(adapt);
	*ret_adapt = adapt;
	return 0;
}

void weir__adapt_free(struct weir__adapt *adapt)
{
	free(adapt);
}

void weir__adapt_add(struct weir__adapt *adapt, const struct weir__sample *sample)
{
	adapt->law->add(adapt, sample);
	adapt->limit = clamp(adapt->limit, adapt->least, adapt->most);
}

size_t weir__adapt_limit(const struct weir__adapt *adapt)
{
	return (size_t)adapt->limit;
}

weir_nsec weir__adapt_min_latency(const struct weir__adapt *adapt)
{
	return adapt->min_latency;
}
