/* SPDX-License-Identifier: MIT */
/* Patience with a disk that is full and a store that is busy: what they refuse is tried again, for as long as it takes.
 */
#include "engine/internal.h"

#define FIRST_PAUSE (10 * WEIR_MSEC)

bool engine_again(struct engine *engine, int place, int code, weir_nsec *pause)
{
	engine->degraded[place] = code == WEIR_ENOSPC;
	if (code != WEIR_ENOSPC && code != WEIR_EBUSY && code != WEIR_EAGAIN)
		return false;
	if (!*pause)
		*pause = FIRST_PAUSE;
	else
		*pause = *pause < WEIR_SEC / 2 ? *pause * 2 : WEIR_SEC;
	return engine->state != ENGINE_FAILED && !weir_sleep(*pause);
}
