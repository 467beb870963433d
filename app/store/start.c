/* SPDX-License-Identifier: MIT */
/* A run is forgotten; one begins or goes on: what is in the sinks already is settled.  Each is one transaction. */
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
		rc = sql_exec(store, "DELETE FROM chunk; DELETE FROM ack; DELETE FROM retry; DELETE FROM dead;"
				     " DELETE FROM meta");
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
	struct progress progress = store->progress;
	int code = sql_check(store, err);
	if (code)
		return code;
	for (int i = 0; i < LANES; i++)
		positions[i] = start->positions[i] ? start->positions[i] : &none;
	int rc = settle_written(store, start, &progress) ? SQLITE_NOMEM : commit_begin(store);
	if (!rc)
		rc = commit_write_changes(store);
	if (!rc)
		rc = write_meta(store, start);
	return commit_end(store, rc, &progress, positions, err);
}
