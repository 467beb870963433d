/* SPDX-License-Identifier: MIT */
/*
 * A worker: takes an item, runs it through the steps, sends it on.  It never waits with an item in hand for anything
 * but the steps and the lanes: a retry goes back to the broker, so it holds no slot.
 */
#include "engine/internal.h"

#include <string.h>

/* Runs one step over all values; *values is replaced by what came out. */
static enum step_verdict run_step(struct engine *engine, size_t at, struct step_call *call, struct value_list *values)
{
	const struct step_ops *ops = engine->plan->steps[at].adapter->step;
	enum step_verdict verdict = STEP_OK;
	for (size_t i = 0; i < values->n && verdict == STEP_OK; i++) {
		call->input = &values->values[i];
		verdict = ops->run(engine->steps[at], call);
	}
	value_list_fini(values);
	*values = *call->outputs;
	*call->outputs = (struct value_list){0};
	return verdict;
}

static enum step_verdict run_steps(struct engine *engine, struct item *item, struct step_call *call)
{
	struct value first = {0};
	enum step_verdict verdict = STEP_OK;
	if (value_copy(&first, item->source.data, item->source.len) || value_list_take(&item->outputs, &first)) {
		strcpy(call->why, "out of memory");
		return STEP_RETRY;
	}
	for (size_t i = 0; i < engine->plan->step_count && verdict == STEP_OK && item->outputs.n; i++)
		verdict = run_step(engine, i, call, &item->outputs);
	return verdict;
}

static void retry(struct engine *engine, struct item *item, const struct step_call *call)
{
	const struct plan_settings *settings = &engine->plan->settings;
	if (call->last_attempt) {
		engine_bury(engine, item);
		return;
	}
	weir_nsec due = weir_now() + engine_backoff(settings, item->attempts, &engine->random);
	engine->retries++;
	engine_postpone(engine, item, due > call->not_before ? due : call->not_before);
}

static void act(struct engine *engine, struct item *item, const struct step_call *call, enum step_verdict verdict)
{
	if (verdict != STEP_REFUSED && verdict != STEP_CANCELED) {
		item->attempts++;
		engine->attempts++;
	}
	if (verdict != STEP_OK)
		item_set_why(item, "%s", call->why);
	switch (verdict) {
	case STEP_OK:
		engine_pass(engine, item);
		break;
	case STEP_RETRY:
		retry(engine, item, call);
		break;
	case STEP_REFUSED:
		engine->refused++;
		engine_postpone(engine, item, call->not_before ? call->not_before : weir_now() + WEIR_SEC);
		break;
	case STEP_DEAD:
		engine_bury(engine, item);
		break;
	case STEP_CANCELED:
		engine_give_back(engine, item);
		break;
	}
}

static void work(struct engine *engine, struct item *item)
{
	struct value_list outputs = {0};
	struct step_call call = {
		.item = item,
		.outputs = &outputs,
		.attempt = item->attempts + 1,
		.last_attempt = item->attempts + 1 >= (unsigned)engine->plan->settings.retry_attempts,
	};
	weir_nsec begun = weir_clock(); /* not weir_now(): a fast answer comes within one turn of the loop */
	engine->in_flight++;
	enum step_verdict verdict = run_steps(engine, item, &call);
	engine->in_flight--;
	if (verdict != STEP_CANCELED && verdict != STEP_REFUSED)
		weir_histogram_record(engine->attempt_ns, weir_clock() - begun);
	act(engine, item, &call, verdict);
}

int engine_worker(void *arg)
{
	struct engine *engine = arg;
	struct item *item;
	int code;
	struct weir_error err = {0};
	while ((code = engine->broker_ops->lease(engine->broker, &item, 1, &err, WEIR_FOREVER)) == 1) {
		if (item->bad)
			engine_bury(engine, item);
		else
			work(engine, item);
	}
	if (code != WEIR_ECLOSED && code != WEIR_ECANCELED)
		engine_fail(engine, EX_IOERR, &err);
	return 0;
}
