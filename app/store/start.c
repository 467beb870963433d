/* SPDX-License-Identifier: MIT */
/* A run begins or goes on, in one transaction: all is forgotten, or what is in the sinks already is settled. */
#include "store/internal.h"

#include <string.h>

/* What is settled is passed over: a sink may tell of it, and twice. */
static int settle_written(struct store *store, const struct broker_start *start, struct progress *progress)
{
	for (int lane = 0; lane < LANES; lane++)
		for (size_t i = 0; i < start->n[lane]; i++) {
			if (!commit_has(store, start->written[lane][i]))
				continue;
			if (commit_settle(store, start->written[lane][i]))
				return WEIR_ENOMEM;
			++*(lane == LANE_DEAD ? &progress->accounts.dead : &progress->accounts.succeeded);
		}
	return 0;
}

static int write_meta(struct store *store, const struct broker_start *start)
{
	sqlite3_stmt *row = store->statements[SQL_SET_META];
	sqlite3_bind_text(row, 1, start->run, -1, SQLITE_STATIC);
	sqlite3_bind_text(row, 2, start->plan ? start->plan : "", -1, SQLITE_STATIC);
	sqlite3_bind_text(row, 3, start->source ? start->source : "", -1, SQLITE_STATIC);
	return sql_run(store, SQL_SET_META);
}

static int forget_all(struct store *store)
{
	return sql_exec(store, "DELETE FROM chunk; DELETE FROM ack; DELETE FROM retry; DELETE FROM dead");
}

int store_forget(struct store *store, struct weir_error *err)
{
	static const struct value none = {"", 0};
	const struct value *positions[LANES] = {&none, &none};
	const struct progress progress = {.next_chunk = 1};
	int code = sql_check(store, err);
	if (code)
		return code;
	int rc = commit_begin(store);
	if (!rc)
		rc = forget_all(store);
	if (!rc)
		rc = sql_exec(store, "DELETE FROM meta");
	code = commit_end(store, rc, &progress, positions, err);
	if (!code) {
		index_fini(&store->index);
		store->letters = 0;
	}
	return code;
}

int store_start(struct store *store, const struct broker_start *start, struct weir_error *err)
{
	static const struct value none = {"", 0};
	const struct value *positions[LANES];
	const struct progress at_first = {.next_chunk = 1};
	struct progress progress = start->fresh ? at_first : store->progress;
	int code = sql_check(store, err), rc = SQLITE_OK;
	if (code)
		return code;
	for (int i = 0; i < LANES; i++)
		positions[i] = start->positions[i] ? start->positions[i] : &none;
	if (!start->fresh && settle_written(store, start, &progress))
		rc = SQLITE_NOMEM;
	if (!rc)
		rc = commit_begin(store);
	if (!rc)
		rc = start->fresh ? forget_all(store) : commit_write_changes(store);
	if (!rc)
		rc = write_meta(store, start);
	code = commit_end(store, rc, &progress, positions, err);
	if (!code && start->fresh) {
		index_fini(&store->index);
		store->letters = 0;
	}
	return code;
}
