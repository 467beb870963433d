/* SPDX-License-Identifier: MIT */
/*
 * Looks at the run five to ten times a second and does what follows: it measures what holds the run back, makes notes
 * for people, ends a run that is denied, and makes places in the broker for as many items as may be in the steps.
 *
 * Looks come at uneven times: calls that are paced evenly would else be found at the same moment of their pace each
 * time.
 */
#include "engine/internal.h"

#include <weir/random.h>

#define LOOK_PERIOD (200 * WEIR_MSEC)

/* Half of the period to all of it. */
static weir_nsec uneven(uint64_t *random)
{
	return LOOK_PERIOD / 2 + (weir_nsec)((double)LOOK_PERIOD / 2 * weir_random_unit(random));
}

int engine_watch(void *arg)
{
	struct engine *engine = arg;
	uint64_t random = engine->pace.seed;
	struct engine_flow flow = {0};
	engine_flow(engine, &flow);
	engine_measure(engine, &flow);
	while (!weir_sleep(uneven(&random))) {
		engine_flow(engine, &flow);
		engine_measure(engine, &flow);
		engine_tell_trouble(&engine->life, &engine->announced, &flow);
		engine_denied(&engine->left, &flow);
		engine_tell_of_disk(engine);
		engine_make_places(engine, flow.concurrency < engine->pace.most ? flow.concurrency : engine->pace.most);
	}
	return 0;
}
