/* SPDX-License-Identifier: MIT */
/* What can be seen of a run from outside while it lives, and what can be done to its dead letters. */
#include "engine/internal.h"

bool engine_was_done(const struct engine *engine)
{
	return engine->past.done && engine->life.state == ENGINE_DONE && !engine->store.mine.read;
}

static uint64_t settled(const struct broker_accounts *accounts)
{
	return accounts->read - broker_unfinished_of(accounts);
}

/* Of a broker that is shared the accounts are as of a moment ago. */
static uint64_t settled_by_others(const struct engine_store *store, const struct broker_accounts *accounts)
{
	uint64_t all = settled(accounts), mine = settled(&store->mine);
	return all > mine ? all - mine : 0;
}

static int64_t total_of(const struct engine_input *input, const struct broker_accounts *accounts, bool *ret_exact)
{
	if (!input->ended && input->source)
		return input->ops->total(input->source, ret_exact);
	if (input->ended || !input->total)
		return (int64_t)accounts->read;
	*ret_exact = input->total_exact;
	return input->total;
}

static void lend_histograms(const struct engine *engine, struct engine_stats *ret_stats)
{
	ret_stats->attempt_ns = engine->tally.attempt_ns;
	ret_stats->item_ns = engine->store.item_ns;
	ret_stats->write_ns = engine->sinks.stats.write_ns;
	ret_stats->ack_ns = engine->store.ack_ns;
	ret_stats->batch_items = engine->sinks.stats.batch_items;
	ret_stats->trip_ns = engine->store.trip_ns;
}

void engine_stats(const struct engine *engine, struct engine_stats *ret_stats)
{
	struct broker_counts counts;
	bool exact = true;
	struct engine_flow flow = {0};
	engine_counts(&engine->store, &counts);
	const struct broker_accounts *accounts = &counts.accounts;
	/* Who does not read the source learns how many items there are when all are done. */
	bool knows = counts.ended || engine_has_role(&engine->life, ENGINE_SUBMIT);
	int64_t total = knows ? total_of(&engine->input, accounts, &exact) : -1;
	engine_flow(engine, &flow);
	*ret_stats = (struct engine_stats){
		.state = engine->life.state,
		.read = accounts->read,
		.succeeded = accounts->succeeded,
		.dead = accounts->dead,
		.dropped = accounts->dropped,
		.unfinished = broker_unfinished_of(accounts),
		.attempts = engine->tally.attempts,
		.refused = engine->tally.refused,
		.in_flight = engine->load.in_flight,
		.in_line = engine->steps.gated && engine->load.under_way > engine->load.in_flight
				   ? engine->load.under_way - engine->load.in_flight
				   : 0,
		.waiting = counts.waiting,
		.total = total,
		.total_exact = exact,
		.concurrency = flow.concurrency,
		.most = engine->pace.most,
		.run = engine->life.run,
		.reason = engine->life.reason,
		.durable = engine->store.ops->exactness != BROKER_FORGETS,
		.shared = engine->fleet,
		.resumed = engine->past.resumed,
		.past_done = engine->past.done,
		.was_done = engine_was_done(engine),
		.exact = engine->sinks.exact,
		.degraded = flow.disk[0],
		.settled_before = settled_by_others(&engine->store, accounts),
		.letters = counts.letters,
		.stored_bytes = counts.stored_bytes,
		.source_stalled = engine->input.stalled,
		.put_wait = engine->input.put_since ? weir_now() - engine->input.put_since : 0,
		.filled = counts.filled,
		.workers_stalled = engine->sinks.stalled,
		.workers_starved = engine->load.starved,
		.written = engine->sinks.stats.written,
		.position = engine->input.position,
		.reaped = counts.reaped,
		.fenced = counts.fenced,
		.classes = engine->classes.all,
		.class_count = engine->classes.n,
		.causes = engine->causes.all,
		.cause_count = engine->causes.n,
	};
	lend_histograms(engine, ret_stats);
	for (int i = 0; i < WEIR_OUTCOMES; i++) {
		ret_stats->retries_of[i] = engine->tally.retries[i];
		ret_stats->retries += engine->tally.retries[i];
	}
}

int engine_visit(struct engine *engine, const struct journal_ops **ret_journal, struct broker **ret_broker,
		 struct weir_error *err)
{
	const struct journal_ops *journal = &engine->store.ops->journal;
	if (!engine->store.broker || engine->visits.closing)
		return weir_error_set(err, WEIR_ECLOSED, "the run is ending");
	if (!journal->letters)
		return weir_error_set(err, WEIR_EINVAL, "this run's broker keeps no dead letters");
	engine->visits.n++;
	*ret_journal = journal;
	*ret_broker = engine->store.broker;
	return 0;
}

void engine_leave(struct engine *engine)
{
	if (!--engine->visits.n)
		weir_event_set(engine->visits.over);
}

void engine_figures(const struct engine *engine, struct buf *json)
{
	for (size_t i = 0; engine->steps.all && i < engine->life.plan->step_count; i++) {
		const struct step_ops *ops = engine->life.plan->steps[i].adapter->step;
		if (ops->figures && engine->steps.all[i])
			ops->figures(engine->steps.all[i], json);
	}
}
