/* SPDX-License-Identifier: MIT */
/*
 * Replay makes new items of dead letters in one transaction, a chunk at a time: as they were, or with other items in
 * their place.  Its death goes to the end of a letter's history, which waits in the item's row of `retry` for the next
 * one; the item's number comes from there (letter_number()).
 */
#include "sqlite/store/internal.h"

#include <string.h>

#define REPLAY_BYTES ((size_t)1 << 20) /* of sources in a chunk, about */

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

static bool revival_has(const struct revival *revival, uint64_t id)
{
	for (size_t i = 0; i < revival->n; i++)
		if (revival->items[i]->id == id)
			return true;
	return false;
}

static bool revival_is_full(const struct revival *revival)
{
	return revival->n == STORE_CHUNK_ITEMS || revival->bytes >= REPLAY_BYTES;
}

/* instead: another item; NULL: the letter's own. */
static int revive(struct revival *revival, const struct letter *letter, bool bad, const struct value *instead)
{
	const struct value *source = instead ? instead : &letter->item;
	struct item *item = item_new();
	struct buf *history = &revival->history[revival->n];
	bool mended = false;
	if (!item || (instead && letter_is_mended(letter, instead, &mended))) {
		item_free(item);
		return WEIR_ENOMEM;
	}
	revival->items[revival->n++] = item;
	item->id = letter->id;
	item->position = letter->position;
	item->bad = bad && !instead;
	if (item->bad)
		item_set_why(item, "%s", letter->reason);
	letter_add_death(letter, mended, history);
	revival->bytes += source->len;
	return history->failed || value_copy(&item->source, source->data, source->len) ? WEIR_ENOMEM : 0;
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

static int write_revival(struct store *store, const struct revival *revival, struct store_progress *progress,
			 struct weir_error *err)
{
	uint64_t chunk = progress->next_chunk++;
	int rc = commit_add_chunk(store, chunk, revival->items, revival->n);
	if (!rc)
		rc = write_histories(store, revival, chunk);
	for (size_t i = 0; i < revival->n && !rc; i++)
		rc = sql_run_u64(store, SQL_DROP_DEAD, revival->items[i]->id);
	progress->letters -= revival->n;
	progress->accounts.dead -= revival->n;
	return rc ? sql_fail(store, rc, err) : 0;
}

/* Ends the transaction. */
static int end(struct store *store, int code, const struct store_progress *progress, struct weir_error *err)
{
	return code ? commit_abandon(store, code, err) : commit_end(store, SQLITE_OK, progress, NULL, err);
}

/* ---- as they were */

static int read_some(struct store *store, const struct letter_query *query, uint64_t after, size_t limit,
		     struct revival *revival, struct weir_error *err)
{
	struct letter letter = {.id = after};
	int code = 0;
	bool bad;
	if (!limit || limit > STORE_CHUNK_ITEMS)
		limit = STORE_CHUNK_ITEMS;
	letters_bind(store, query, after, limit);
	while (!revival_is_full(revival) && (code = letters_next(store, &letter, &bad, err)) > 0)
		if (revive(revival, &letter, bad, NULL)) {
			code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
			break;
		}
	sql_reset(store, SQL_GET_DEAD);
	return code < 0 ? code : 0;
}

static int replay_all(struct store *store, const struct letter_query *query, struct store_progress *progress,
		      uint64_t *ret_n, struct weir_error *err)
{
	uint64_t after = query->after, n = 0;
	size_t done = 1;
	int code = 0;
	while (!code && done && (!query->limit || n < query->limit)) {
		struct revival revival = {0};
		code = read_some(store, query, after, query->limit ? query->limit - n : 0, &revival, err);
		done = revival.n;
		if (!code && done) {
			after = revival.items[done - 1]->id;
			code = write_revival(store, &revival, progress, err);
		}
		n += done;
		revival_fini(&revival);
	}
	*ret_n = n;
	return code;
}

int store_replay(struct store *store, const struct letter_query *query, uint64_t *ret_n, struct weir_error *err)
{
	struct store_progress progress = store->progress;
	uint64_t n = 0;
	int code = sql_check(store, err);
	if (code)
		return code;
	int rc = commit_begin(store);
	code = rc ? sql_fail(store, rc, err) : replay_all(store, query, &progress, &n, err);
	code = end(store, code, &progress, err);
	if (!code)
		*ret_n = n;
	return code;
}

/* ---- with other items */

/* Passes over what is no letter any more. */
static int revive_mend(struct store *store, struct letter_mend *mend, struct revival *revival, struct weir_error *err)
{
	struct letter letter = {0};
	bool bad;
	if (!mend->id || revival_has(revival, mend->id))
		return 0;
	letters_bind(store, &(struct letter_query){.id = mend->id}, 0, 1);
	int code = letters_next(store, &letter, &bad, err);
	if (code > 0) {
		code = revive(revival, &letter, bad, &mend->item);
		mend->done = !code;
	}
	sql_reset(store, SQL_GET_DEAD);
	return code == WEIR_ENOMEM ? weir_error_set(err, code, "out of memory") : code;
}

static int mend_all(struct store *store, struct letter_mend *mends, size_t n, struct store_progress *progress,
		    struct weir_error *err)
{
	struct revival revival = {0};
	int code = 0;
	for (size_t i = 0; i < n && !code; i++) {
		code = revive_mend(store, &mends[i], &revival, err);
		if (code || !revival.n || (!revival_is_full(&revival) && i + 1 < n))
			continue;
		code = write_revival(store, &revival, progress, err);
		revival_fini(&revival);
	}
	revival_fini(&revival);
	return code;
}

int store_mend(struct store *store, struct letter_mend *mends, size_t n, uint64_t *ret_n, struct weir_error *err)
{
	struct store_progress progress = store->progress;
	uint64_t letters = progress.letters;
	int code = sql_check(store, err);
	if (code)
		return code;
	for (size_t i = 0; i < n; i++)
		mends[i].done = false;
	int rc = commit_begin(store);
	code = rc ? sql_fail(store, rc, err) : mend_all(store, mends, n, &progress, err);
	code = end(store, code, &progress, err);
	for (size_t i = 0; i < n && code; i++)
		mends[i].done = false;
	if (!code)
		*ret_n = letters - progress.letters;
	return code;
}
