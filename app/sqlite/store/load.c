/* SPDX-License-Identifier: MIT */
/*
 * Reading what is unfinished.
 *
 * A retry is stored with the wall-clock times at which it was asked for and is due, and becomes due on weir_now()'s
 * clock when as much time is left.  A wall clock that was set back does not make it wait longer than it was to wait at
 * first; one that was set forward, or stood still while the machine was off, makes it due.  Until it is due it ages,
 * and not while no process has it: what took long was not the item's fault.
 */
#include "data/json_writer.h"
#include "sqlite/store/internal.h"

#include <stdlib.h>
#include <string.h>
#include <weir/run.h>

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

static weir_nsec waited(int64_t at, int64_t due, int64_t wall)
{
	int64_t most = due > at ? due - at : 0;
	return wall <= at ? 0 : wall - at < most ? wall - at : most;
}

static weir_nsec age_in(sqlite3_stmt *row, int column)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL ? -1 : sqlite3_column_int64(row, column);
}

static int take_retry(sqlite3_stmt *row, struct item *item, int64_t wall)
{
	const char *why = (const char *)sqlite3_column_text(row, 4);
	const void *record = sqlite3_column_blob(row, 7);
	const char *history = (const char *)sqlite3_column_text(row, 8);
	const struct item_ages ages = {.born = -1, .taken = age_in(row, 5), .attempted = age_in(row, 6)};
	int64_t at = sqlite3_column_int64(row, 2), due = sqlite3_column_int64(row, 3);
	item->attempts = (unsigned)sqlite3_column_int64(row, 1);
	item->due = due_here(at, due, wall);
	item_set_ages(item, &ages, waited(at, due, wall));
	if (why && *why)
		item_set_why(item, "%s", why);
	if (record && value_copy(&item->record, record, (size_t)sqlite3_column_bytes(row, 7)))
		return SQLITE_NOMEM;
	int code = history ? letter_number(history, item->id, &item->number) : 0;
	return !code ? SQLITE_OK : code == WEIR_ENOMEM ? SQLITE_NOMEM : SQLITE_CORRUPT;
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
	int rc = SQLITE_OK;
	sqlite3_bind_int64(row, 1, (int64_t)(chunk * CHUNK_ITEMS));
	sqlite3_bind_int64(row, 2, (int64_t)(chunk * CHUNK_ITEMS + CHUNK_ITEMS - 1));
	while (!rc && (rc = sql_step(store, SQL_GET_RETRIES)) == SQLITE_ROW) {
		struct item *item = find_item(items, n, (uint64_t)sqlite3_column_int64(row, 0));
		rc = item ? take_retry(row, item, wall) : SQLITE_OK;
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
	*ret_why = "its number of items differs";
	return chunk.n == entry->n ? chunk_decode(&chunk, &entry->settled, items, ret_why) : WEIR_EDATA;
}

/* Of a chunk that cannot be read nothing is, but the others can be: not for good. */
static int refuse_chunk(const struct store *store, uint64_t id, const char *why, struct weir_error *err)
{
	unsigned long long first = id * CHUNK_ITEMS;
	return weir_error_set(err, WEIR_EDATA,
			      "%s is damaged: chunk %llu, items %llu to %llu: %s; `weir state verify` lists the "
			      "damage; restore a copy, or move it away and start over",
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

static void export_item(const struct item *item, struct buf *out)
{
	json_open(out, NULL, '{');
	json_put_uint(out, "id", item->id);
	json_put_uint(out, "position", item->position);
	json_put_uint(out, "attempts", item->attempts);
	if (item->due)
		json_put_time(out, "due", (store_wall_ns() + (item->due - weir_now())) / WEIR_SEC);
	else
		json_put_text(out, "due", NULL);
	json_put_text(out, "why", item_why(item));
	json_put_raw(out, "item", item->source.data, item->source.len);
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
