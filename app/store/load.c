/* SPDX-License-Identifier: MIT */
/*
 * Reading what is unfinished.
 *
 * A retry is stored with the wall-clock times at which it was asked for and is due, and becomes due on weir_now()'s
 * clock when as much time is left.  A wall clock that was set back does not make it wait longer than it was to wait at
 * first; one that was set forward, or stood still while the machine was off, makes it due.
 */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir/run.h>

/* Roughly: what of a row does not fit into a page of its table goes to pages of its own. */
static uint64_t row_bytes(const struct store *store, const struct index_chunk *chunk)
{
	uint64_t page = store->page_bytes;
	return chunk->bytes + 64 < page / 2 ? chunk->bytes + 64 : (chunk->bytes + page - 1) / page * page;
}

int store_chunks(struct store *store, struct store_chunk **ret_chunks, size_t *ret_n, struct weir_error *err)
{
	const struct index *index = &store->index;
	int code = sql_check(store, err);
	if (code)
		return code;
	struct store_chunk *chunks = calloc(index->n + 1, sizeof *chunks);
	size_t n = 0;
	if (!chunks)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	for (size_t i = 0; i < index->n; i++) {
		const struct index_chunk *chunk = &index->chunks[i];
		if (chunk->left)
			chunks[n++] = (struct store_chunk){
				.id = chunk->id,
				.left = chunk->left,
				.left_bytes = chunk->bytes * chunk->left / chunk->n,
				.store_bytes = row_bytes(store, chunk),
			};
	}
	*ret_chunks = chunks;
	*ret_n = n;
	return 0;
}

/* ---- one chunk */

static weir_nsec due_here(int64_t at, int64_t due, int64_t wall)
{
	int64_t left, most;
	if (due <= wall || __builtin_sub_overflow(due, wall, &left) || __builtin_sub_overflow(due, at, &most))
		return 0;
	left = left < most ? left : most;
	return left > 0 ? weir_now() + left : 0;
}

static struct item *find_item(struct item *const *items, int n, uint64_t id)
{
	for (int i = 0; i < n; i++)
		if (items[i]->id == id)
			return items[i];
	return NULL;
}

static int read_retries(struct store *store, uint64_t chunk, struct item *const *items, int n)
{
	sqlite3_stmt *row = store->statements[SQL_GET_RETRIES];
	int64_t wall = store_wall_ns();
	int rc;
	sqlite3_bind_int64(row, 1, (int64_t)(chunk * CHUNK_ITEMS));
	sqlite3_bind_int64(row, 2, (int64_t)(chunk * CHUNK_ITEMS + CHUNK_ITEMS - 1));
	while ((rc = sql_step(store, SQL_GET_RETRIES)) == SQLITE_ROW) {
		struct item *item = find_item(items, n, (uint64_t)sqlite3_column_int64(row, 0));
		const char *why = (const char *)sqlite3_column_text(row, 4);
		if (!item)
			continue;
		item->attempts = (unsigned)sqlite3_column_int64(row, 1);
		item->due = due_here(sqlite3_column_int64(row, 2), sqlite3_column_int64(row, 3), wall);
		if (why && *why)
			item_set_why(item, "%s", why);
	}
	sql_reset(store, SQL_GET_RETRIES);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The row is at hand. */
static int decode_row(struct store *store, const struct index_chunk *entry, struct item **items, const char **ret_why)
{
	sqlite3_stmt *row = store->statements[SQL_GET_CHUNK];
	struct chunk chunk = {.id = entry->id, .n = (size_t)sqlite3_column_int64(row, 0)};
	chunk.crc = (uint32_t)sqlite3_column_int64(row, 1);
	chunk.body = sqlite3_column_blob(row, 2);
	chunk.bytes = (size_t)sqlite3_column_bytes(row, 2);
	*ret_why = "it has another number of items";
	return chunk.n == entry->n ? chunk_decode(&chunk, &entry->settled, items, ret_why) : WEIR_EDATA;
}

/* Of a chunk that cannot be read nothing is, but the others can be: not for good. */
static int refuse_chunk(const struct store *store, uint64_t id, const char *why, struct weir_error *err)
{
	unsigned long long first = id * CHUNK_ITEMS;
	return weir_error_set(err, WEIR_EDATA,
			      "%s is damaged: chunk %llu, items %llu to %llu: %s; 'weir state verify' tells more; to "
			      "begin anew with --fresh move it away",
			      store->path, (unsigned long long)id, first, first + CHUNK_ITEMS - 1, why);
}

int load_chunk(struct store *store, uint64_t id, struct item **items, struct weir_error *err)
{
	const struct index_chunk *entry = index_find(&store->index, id);
	const char *why = NULL;
	int n = 0;
	if (!entry)
		return 0;
	sqlite3_bind_int64(store->statements[SQL_GET_CHUNK], 1, (int64_t)id);
	int rc = sql_step(store, SQL_GET_CHUNK);
	if (rc == SQLITE_ROW) {
		n = decode_row(store, entry, items, &why);
		rc = n == WEIR_ENOMEM ? SQLITE_NOMEM : SQLITE_OK;
	} else if (rc == SQLITE_DONE)
		rc = SQLITE_CORRUPT;
	sql_reset(store, SQL_GET_CHUNK);
	if (n == WEIR_EDATA)
		return refuse_chunk(store, id, why, err);
	if (!rc && chunk_count(&entry->retried))
		rc = read_retries(store, id, items, n);
	if (!rc)
		return n;
	while (n > 0)
		item_free(items[--n]);
	return sql_fail(store, rc, err);
}

int store_load(struct store *store, uint64_t chunk, struct item *ret_items[STORE_CHUNK_ITEMS], struct weir_error *err)
{
	struct item *items[STORE_CHUNK_ITEMS];
	struct weir_error why = {0};
	int n = sql_check(store, err);
	if (n)
		return n;
	n = load_chunk(store, chunk, items, &why);
	if (n < 0) {
		if (n == WEIR_EDATA)
			store->failed = why;
		return weir_error_set(err, n, "%s", why.text);
	}
	for (int i = 0; i < n; i++)
		items[i]->born = weir_now();
	memcpy(ret_items, items, (size_t)n * sizeof items[0]);
	return n;
}

/* ---- for people */

static void add_time(struct buf *out, weir_nsec due)
{
	time_t seconds = (time_t)((store_wall_ns() + (due - weir_now())) / WEIR_SEC);
	char text[32];
	struct tm utc;
	strftime(text, sizeof text, "\"%Y-%m-%dT%H:%M:%SZ\"", gmtime_r(&seconds, &utc));
	buf_add_str(out, due ? text : "null");
}

static void export_item(const struct item *item, struct buf *out)
{
	buf_addf(out, "{\"id\":%llu,\"position\":%llu,\"attempts\":%u,\"due\":", (unsigned long long)item->id,
		 (unsigned long long)item->position, item->attempts);
	add_time(out, item->due);
	buf_add_str(out, ",\"why\":");
	buf_add_json_str(out, item->why, strlen(item->why));
	buf_add_str(out, ",\"item\":");
	buf_add(out, item->source.data, item->source.len);
	buf_add_str(out, "}\n");
}

int store_export(struct store *store, uint64_t chunk, struct buf *out, struct weir_error *err)
{
	struct item *items[STORE_CHUNK_ITEMS] = {NULL};
	int code = sql_check(store, err);
	int n = code ? code : load_chunk(store, chunk, items, err);
	for (int i = 0; i < n && items[i]; i++) {
		export_item(items[i], out);
		item_free(items[i]);
	}
	if (n >= 0 && out->failed)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	return n < 0 ? n : 0;
}
