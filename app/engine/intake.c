/* SPDX-License-Identifier: MIT */
/*
 * The intake: reads the source and hands the items to the broker, which makes it wait when it is full.  What the source
 * finds unusable goes straight to the dead letters.
 */
#include "engine/internal.h"

/* 0: go on; 1: the source has ended; negative: stopped, or it cannot be read. */
static int take_one(struct engine *engine, struct weir_error *err)
{
	struct item *item = item_new();
	if (!item)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int verdict = engine->source_ops->next(engine->source, item, err, WEIR_FOREVER);
	item->born = weir_clock();
	if (verdict == SOURCE_BAD) {
		engine->read++;
		engine_bury(engine, item);
		return 0;
	}
	int code = verdict;
	if (verdict == SOURCE_ITEM) {
		code = engine->broker_ops->put(engine->broker, &item, 1, item->position, WEIR_FOREVER);
		if (!code) {
			engine->read++;
			return 0;
		}
		if (code != WEIR_ECANCELED && code != WEIR_ECLOSED)
			weir_error_set(err, code, "broker: %s", weir_strerror(code));
	}
	item_free(item);
	return verdict == SOURCE_END ? 1 : code;
}

int engine_intake(void *arg)
{
	struct engine *engine = arg;
	struct weir_error err = {0};
	int code;
	while (!(code = take_one(engine, &err)))
		;
	if (code > 0) {
		engine->source_ended = true;
		engine->broker_ops->seal(engine->broker, WEIR_FOREVER);
	} else if (code != WEIR_ECANCELED && code != WEIR_ECLOSED) {
		engine_fail(engine, EX_IOERR, &err);
	}
	return 0;
}
