/* SPDX-License-Identifier: MIT */
#include "sqlite/sink/past.h"

#include <inttypes.h>
#include <stdio.h>

bool sqlite_past_position(const struct value *position, struct ledger_batch *ret_batch)
{
	struct ledger_batch batch = {0};
	if (!position ||
	    sscanf(position->data, "sqlite batch=%" SCNu64 " process=%" SCNx64, &batch.number, &batch.process) != 2)
		return false;
	*ret_batch = batch;
	return true;
}

/* what: that the run has written. */
static int refuse_missing(const struct sqlite_past *past, const char *what, struct weir_error *err)
{
	bool database = past->has_database;
	return weir_error_set(err, WEIR_EINVAL,
			      "%s%.60s%s%.150s is missing, with %s that this run has written; restore it, "
			      "name another one and resume with --adopt, or start over with --fresh",
			      database ? "table " : "", database ? past->table : "", database ? " in " : "", past->path,
			      what);
}

static int refuse_missing_batches(const struct sqlite_past *past, uint64_t batches, struct weir_error *err)
{
	char what[40];
	snprintf(what, sizeof what, "%llu batches", (unsigned long long)batches);
	return refuse_missing(past, what, err);
}

static int refuse_older_sink(const struct sqlite_past *past, const struct ledger_batch *state,
			     const struct ledger_batch *noted, struct weir_error *err)
{
	return weir_error_set(err, WEIR_EINVAL,
			      "table %.60s in %.150s has lost rows that this run has written: it is at batch %llu, and "
			      "the state at %llu; an older copy was restored, or its log is damaged; restore the newer "
			      "one, start over with --fresh, or resume without those rows with --adopt",
			      past->table, past->path, (unsigned long long)noted->number,
			      (unsigned long long)state->number);
}

static int refuse_older_state(const struct sqlite_past *past, const struct ledger_batch *state,
			      const struct ledger_batch *noted, struct weir_error *err)
{
	return weir_error_set(err, WEIR_EINVAL,
			      "the state is older than its sink: table %.60s in %.150s is at batch %llu, and the state "
			      "at %llu; an older copy was restored, or its log is damaged; restore the newer state, "
			      "start over with --fresh, or resume with --adopt, which may duplicate rows",
			      past->table, past->path, (unsigned long long)noted->number,
			      (unsigned long long)state->number);
}

/* As of the state, and as noted in the database: nothing but zeroes if it has no note. */
static int compare(const struct sqlite_past *past, const struct ledger_batch *state, const struct ledger_batch *noted,
		   struct weir_error *err)
{
	if (noted->number < state->number)
		return refuse_older_sink(past, state, noted, err);
	bool same = noted->number == state->number && noted->process == state->process;
	bool one_more = noted->number == state->number + 1 && noted->before == state->process;
	return !past->noted->known || same || one_more ? 0 : refuse_older_state(past, state, noted, err);
}

int sqlite_past_check(const struct sqlite_past *past, const struct value *position, struct weir_error *err)
{
	struct ledger_batch state = {0};
	const struct ledger_batch *noted = &past->noted->batch;
	bool resumed = sqlite_past_position(position, &state);
	if (state.number && !past->has_database)
		return refuse_missing_batches(past, state.number, err);
	if ((state.number || past->noted->n) && !past->has_table)
		return refuse_missing_batches(past, state.number ? state.number : noted->number, err);
	if (past->has_claims && !past->has_table)
		return refuse_missing(past, "rows", err);
	return resumed ? compare(past, &state, noted, err) : 0;
}
