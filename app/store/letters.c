/* SPDX-License-Identifier: MIT */
/*
 * Dead letters: rows of `dead`, under the ids that their items had.
 *
 * Replay makes new items of them in one transaction, a chunk at a time.  Its death goes to the end of a letter's
 * history, which waits in the item's row of `retry` for the next one.
 */
#include "store/internal.h"

#include <string.h>
#include <time.h>

#include "port/letter.h"

#define REPLAY_BYTES ((size_t)1 << 20) /* of sources in a chunk, about */

/* ---- reading */

static void bind_query(struct store *store, const struct letter_query *query, uint64_t after, size_t limit)
{
	sqlite3_stmt *row = store->statements[SQL_GET_DEAD];
	uint64_t from = query->id && query->id - 1 > after ? query->id - 1 : after;
	sqlite3_bind_int64(row, 1, (int64_t)from);
	sqlite3_bind_int64(row, 2, query->id ? (int64_t)query->id : INT64_MAX);
	if (query->reason)
		sqlite3_bind_text(row, 3, query->reason, -1, SQLITE_STATIC);
	sqlite3_bind_int64(row, 4, limit && limit < INT64_MAX ? (int64_t)limit : -1);
}

static const char *text_or_empty(sqlite3_stmt *row, int column)
{
	const char *text = (const char *)sqlite3_column_text(row, column);
	return text ? text : "";
}

/* Borrowed from the row. */
static struct letter read_letter(sqlite3_stmt *row)
{
	return (struct letter){
		.id = (uint64_t)sqlite3_column_int64(row, 0),
		.position = (uint64_t)sqlite3_column_int64(row, 1),
		.attempts = (unsigned)sqlite3_column_int64(row, 3),
		.at_unix = sqlite3_column_int64(row, 4),
		.reason = text_or_empty(row, 5),
		.item = {(char *)(uintptr_t)sqlite3_column_blob(row, 6), (size_t)sqlite3_column_bytes(row, 6)},
		.history = (const char *)sqlite3_column_text(row, 7),
	};
}

int store_letters(struct store *store, const struct letter_query *query, struct buf *out, uint64_t *ret_last_id,
		  struct weir_error *err)
{
	int code = sql_check(store, err), rc;
	uint64_t last = query->after;
	if (code)
		return code;
	bind_query(store, query, query->after, query->limit);
	while ((rc = sql_step(store, SQL_GET_DEAD)) == SQLITE_ROW && !out->failed) {
		struct letter letter = read_letter(store->statements[SQL_GET_DEAD]);
		letter_write(&letter, out);
		buf_add_char(out, '\n');
		last = letter.id;
	}
	sql_reset(store, SQL_GET_DEAD);
	if (out->failed || rc != SQLITE_DONE)
		return sql_fail(store, out->failed ? SQLITE_NOMEM : rc, err);
	*ret_last_id = last;
	return 0;
}

/* ---- replay, purge */

/* Letters that become a chunk. */
struct revival {
	struct item *items[STORE_CHUNK_ITEMS]; /* under the letters' ids */
	struct buf history[STORE_CHUNK_ITEMS];
	size_t n, bytes;
};

static void revival_fini(struct revival *revival)
{
	for (size_t i = 0; i < revival->n; i++) {
		item_free(revival->items[i]);
		buf_fini(&revival->history[i]);
	}
	*revival = (struct revival){0};
}

static void add_death(const struct letter *letter, struct buf *history)
{
	char at[32];
	time_t seconds = (time_t)letter->at_unix;
	struct tm utc;
	size_t length = letter->history ? strlen(letter->history) : 0;
	strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &utc));
	if (length > 2) /* more than [] */
		buf_add(history, letter->history, length - 1);
	buf_add_str(history, length > 2 ? ",{\"reason\":" : "[{\"reason\":");
	buf_add_json_str(history, letter->reason, strlen(letter->reason));
	buf_addf(history, ",\"attempts\":%u,\"at\":\"%s\"}]", letter->attempts, at);
}

static int revive(struct revival *revival, sqlite3_stmt *row)
{
	struct letter letter = read_letter(row);
	struct item *item = item_new();
	struct buf *history = &revival->history[revival->n];
	if (!item)
		return SQLITE_NOMEM;
	revival->items[revival->n++] = item;
	item->id = letter.id;
	item->position = letter.position;
	item->bad = sqlite3_column_int(row, 2);
	if (item->bad)
		item_set_why(item, "%s", letter.reason);
	add_death(&letter, history);
	revival->bytes += letter.item.len;
	return history->failed || value_copy(&item->source, letter.item.data, letter.item.len) ? SQLITE_NOMEM
											       : SQLITE_OK;
}

static int read_some(struct store *store, const struct letter_query *query, uint64_t after, size_t limit,
		     struct revival *revival)
{
	int rc = SQLITE_OK;
	if (!limit || limit > STORE_CHUNK_ITEMS)
		limit = STORE_CHUNK_ITEMS;
	bind_query(store, query, after, limit);
	while (!rc && revival->bytes < REPLAY_BYTES && (rc = sql_step(store, SQL_GET_DEAD)) == SQLITE_ROW)
		rc = revive(revival, store->statements[SQL_GET_DEAD]);
	sql_reset(store, SQL_GET_DEAD);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int write_histories(struct store *store, const struct revival *revival, uint64_t chunk)
{
	sqlite3_stmt *row = store->statements[SQL_SET_RETRY];
	struct index_chunk *entry = index_find(&store->index, chunk);
	int64_t now = store_wall_ns();
	int rc = SQLITE_OK;
	for (size_t i = 0; i < revival->n && !rc; i++) {
		sqlite3_bind_int64(row, 1, (int64_t)(chunk * CHUNK_ITEMS + i));
		sqlite3_bind_int64(row, 2, 0);
		sqlite3_bind_int64(row, 3, now);
		sqlite3_bind_int64(row, 4, 0);
		sqlite3_bind_text(row, 5, "", 0, SQLITE_STATIC);
		sqlite3_bind_text(row, 6, revival->history[i].data, (int)revival->history[i].len, SQLITE_STATIC);
		rc = sql_run(store, SQL_SET_RETRY);
		chunk_set(&entry->retried, (unsigned)i);
	}
	return rc;
}

static int write_revival(struct store *store, const struct revival *revival, uint64_t chunk)
{
	int rc = commit_add_chunk(store, chunk, revival->items, revival->n);
	if (!rc)
		rc = write_histories(store, revival, chunk);
	for (size_t i = 0; i < revival->n && !rc; i++)
		rc = sql_run_u64(store, SQL_DROP_DEAD, revival->items[i]->id);
	return rc;
}

static int replay_all(struct store *store, const struct letter_query *query, struct progress *progress, uint64_t *ret_n)
{
	uint64_t after = query->after, n = 0;
	size_t done = 1;
	int rc = SQLITE_OK;
	while (!rc && done && (!query->limit || n < query->limit)) {
		struct revival revival = {0};
		rc = read_some(store, query, after, query->limit ? query->limit - n : 0, &revival);
		done = revival.n;
		if (!rc && done) {
			after = revival.items[done - 1]->id;
			rc = write_revival(store, &revival, progress->next_chunk++);
		}
		n += done;
		revival_fini(&revival);
	}
	*ret_n = n;
	return rc;
}

int store_replay(struct store *store, const struct letter_query *query, uint64_t *ret_n, struct weir_error *err)
{
	struct progress progress = store->progress;
	uint64_t n = 0;
	int code = sql_check(store, err);
	if (code)
		return code;
	int rc = commit_begin(store);
	if (!rc)
		rc = replay_all(store, query, &progress, &n);
	progress.accounts.dead -= n;
	code = commit_end(store, rc, &progress, NULL, err);
	if (code)
		return code;
	store->letters -= n;
	*ret_n = n;
	return 0;
}

static int purge_all(struct store *store, const struct letter_query *query, uint64_t *ret_n)
{
	int rc = SQLITE_OK;
	bind_query(store, query, query->after, query->limit);
	while (!rc && (rc = sql_step(store, SQL_GET_DEAD)) == SQLITE_ROW) {
		rc = sql_run_u64(store, SQL_DROP_DEAD,
				 (uint64_t)sqlite3_column_int64(store->statements[SQL_GET_DEAD], 0));
		++*ret_n;
	}
	sql_reset(store, SQL_GET_DEAD);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int store_purge(struct store *store, const struct letter_query *query, uint64_t *ret_n, struct weir_error *err)
{
	struct progress progress = store->progress;
	uint64_t n = 0;
	int code = sql_check(store, err);
	if (code)
		return code;
	int rc = commit_begin(store);
	if (!rc)
		rc = purge_all(store, query, &n);
	code = commit_end(store, rc, &progress, NULL, err);
	if (code)
		return code;
	store->letters -= n;
	*ret_n = n;
	return 0;
}
