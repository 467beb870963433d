/* SPDX-License-Identifier: MIT */
/* Looks at the run five times a second and does what follows: notes for people, the end of a run that is denied, and
 * places in the broker for as many items as may be in the steps. */
#include "engine/internal.h"

#define LOOK_PERIOD (WEIR_SEC / 5)

int engine_watch(void *arg)
{
	struct engine *engine = arg;
	while (!weir_sleep(LOOK_PERIOD)) {
		struct engine_flow flow = {0};
		engine_flow(engine, &flow);
		engine->pace.whys[flow.why] += flow.why != WHY_END;
		engine_tell_trouble(&engine->life, &engine->announced, &flow);
		engine_denied(&engine->left, &flow);
		engine_tell_of_disk(engine);
		engine_make_places(engine, flow.concurrency < engine->pace.most ? flow.concurrency : engine->pace.most);
	}
	return 0;
}
