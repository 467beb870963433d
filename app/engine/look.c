/* SPDX-License-Identifier: MIT */
/* What can be seen of a run from outside while it lives, and what can be done to its dead letters. */
#include "engine/internal.h"

void engine_stats(const struct engine *engine, struct engine_stats *ret_stats)
{
	struct broker_counts counts = engine->last_counts;
	bool exact = true, degraded = false;
	struct engine_flow flow = {0};
	int64_t total = (int64_t)engine->accounts.read;
	if (engine->broker)
		engine->broker_ops->counts(engine->broker, &counts);
	if (!engine->source_ended && engine->source)
		total = engine->source_ops->total(engine->source, &exact);
	for (int i = 0; i <= LANES; i++)
		degraded = degraded || engine->degraded[i];
	engine_flow(engine, &flow);
	uint64_t in_line = !engine->gated ? 0 : flow.in_line < engine->in_flight ? flow.in_line : engine->in_flight;
	*ret_stats = (struct engine_stats){
		.state = engine->state,
		.read = engine->accounts.read,
		.succeeded = engine->accounts.succeeded,
		.dead = engine->accounts.dead,
		.dropped = engine->accounts.dropped,
		.unfinished = engine_unfinished(engine),
		.attempts = engine->attempts,
		.retries = engine->retries,
		.refused = engine->refused,
		.in_flight = engine->in_flight - in_line,
		.in_line = in_line,
		.waiting = counts.waiting,
		.total = total,
		.total_exact = exact,
		.concurrency = flow.concurrency,
		.most = engine->most,
		.reason = engine->reason,
		.durable = engine->broker_ops->durable,
		.resumed = engine->resumed,
		.was_done = engine->was_done,
		.exact = engine->exact,
		.degraded = degraded || counts.degraded,
		.settled_before = engine->settled_before,
		.letters = counts.letters,
		.stored_bytes = counts.stored_bytes,
		.source_stalled = engine->source_stalled,
		.workers_stalled = engine->workers_stalled,
		.attempt_ns = engine->attempt_ns,
		.item_ns = engine->item_ns,
		.classes = engine->classes,
		.class_count = engine->class_count,
	};
}

/* Others than the run's own fibers use its broker only between these: it is not closed under them. */
static int enter(struct engine *engine, struct weir_error *err)
{
	if (!engine->broker || engine->closing)
		return weir_error_set(err, WEIR_ECLOSED, "the run is ending");
	if (!engine->broker_ops->letters)
		return weir_error_set(err, WEIR_EINVAL, "this run's broker keeps no dead letters");
	engine->visitors++;
	return 0;
}

static void leave(struct engine *engine)
{
	if (!--engine->visitors)
		weir_event_set(engine->left_alone);
}

int engine_letters(struct engine *engine, const struct letter_query *query, struct buf *out, uint64_t *ret_last_id,
		   struct weir_error *err, weir_nsec deadline)
{
	int code = enter(engine, err);
	if (code)
		return code;
	code = engine->broker_ops->letters(engine->broker, query, out, ret_last_id, err, deadline);
	leave(engine);
	return code;
}

int engine_replay(struct engine *engine, const struct letter_query *query, uint64_t *ret_n, struct weir_error *err,
		  weir_nsec deadline)
{
	int code = enter(engine, err);
	if (code)
		return code;
	code = engine->broker_ops->replay(engine->broker, query, ret_n, err, deadline);
	if (!code)
		engine->accounts.dead -= *ret_n;
	leave(engine);
	return code;
}

int engine_purge(struct engine *engine, const struct letter_query *query, uint64_t *ret_n, struct weir_error *err,
		 weir_nsec deadline)
{
	int code = enter(engine, err);
	if (code)
		return code;
	code = engine->broker_ops->purge(engine->broker, query, ret_n, err, deadline);
	leave(engine);
	return code;
}

void engine_figures(const struct engine *engine, struct buf *json)
{
	for (size_t i = 0; engine->steps && i < engine->plan->step_count; i++) {
		const struct step_ops *ops = engine->plan->steps[i].adapter->step;
		if (!ops->figures || !engine->steps[i])
			continue;
		if (json->len)
			buf_add_char(json, ',');
		ops->figures(engine->steps[i], json);
	}
}
