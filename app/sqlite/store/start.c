/* SPDX-License-Identifier: MIT */
/* A run is forgotten; one begins or goes on: what is in the sinks already is settled.  Each is one transaction. */
#include "sqlite/store/internal.h"

/* What is settled is passed over: a sink may tell of it, and twice. */
static int settle_written(struct store *store, const struct broker_start *start, struct store_progress *progress)
{
	for (int outlet = 0; outlet < OUTLETS; outlet++)
		for (size_t i = 0; i < start->n[outlet]; i++) {
			if (!commit_has(store, start->written[outlet][i]))
				continue;
			if (commit_settle(store, start->written[outlet][i]))
				return WEIR_ENOMEM;
			++*(outlet == OUTLET_DEAD ? &progress->accounts.dead : &progress->accounts.succeeded);
		}
	return 0;
}

/* Whether a sink has items that were never read as far as this state knows: then it is an older copy. */
static bool is_behind(const struct store *store, const struct broker_start *start)
{
	for (int outlet = 0; outlet < OUTLETS; outlet++)
		for (size_t i = 0; i < start->n[outlet]; i++)
			if (store_chunk_of(start->written[outlet][i]) >= store->progress.next_chunk)
				return true;
	return false;
}

static int write_meta(struct store *store, const struct broker_start *start)
{
	sqlite3_stmt *row = store->statements[SQL_SET_META];
	sqlite3_bind_text(row, 1, start->run, -1, SQLITE_STATIC);
	sqlite3_bind_text(row, 2, start->plan ? start->plan : "", -1, SQLITE_STATIC);
	sqlite3_bind_text(row, 3, start->source ? start->source : "", -1, SQLITE_STATIC);
	sqlite3_bind_text(row, 4, start->file ? start->file : "", -1, SQLITE_STATIC);
	return sql_run(store, SQL_SET_META);
}

/* The positions stay until the next run has its own: they say which files it may replace. */
int store_forget(struct store *store, struct weir_error *err)
{
	const struct value *kept[OUTLETS] = {NULL};
	const struct store_progress progress = {.next_chunk = 1, .clean = true};
	int code = sql_check(store, err);
	if (code)
		return code;
	int rc = commit_begin(store);
	if (!rc)
		rc = sql_exec(store, "DELETE FROM chunk; DELETE FROM ack; DELETE FROM retry; DELETE FROM dead;"
				     " DELETE FROM meta");
	code = commit_end(store, rc, &progress, kept, err);
	if (!code)
		index_fini(&store->index);
	return code;
}

int store_start(struct store *store, const struct broker_start *start, struct weir_error *err)
{
	static const struct value none = {"", 0};
	const struct value *positions[OUTLETS];
	struct store_progress progress = store->progress;
	int code = sql_check(store, err);
	if (code)
		return code;
	if (!start->adopt && is_behind(store, start))
		return weir_error_set(
			err, WEIR_EINVAL,
			"the state is older than its sink, which has items that this state never read; restore the "
			"newer state, start over with --fresh, or resume with --adopt, which may duplicate rows");
	progress.clean = false;
	for (int i = 0; i < OUTLETS; i++)
		positions[i] = start->positions[i] ? start->positions[i] : &none;
	int rc = settle_written(store, start, &progress) ? SQLITE_NOMEM : commit_begin(store);
	if (!rc)
		rc = commit_write_changes(store);
	if (!rc)
		rc = write_meta(store, start);
	code = commit_end(store, rc, &progress, positions, err);
	store->began = store->began || !code;
	return code;
}
