/* SPDX-License-Identifier: MIT */
/*
 * Opening the file: is it one of ours, what is in it, and how it is to be written.
 *
 *     application_id, user_version     'weir', FORMAT
 *     locking_mode=EXCLUSIVE           one connection; so the WAL's index is in memory, and there is no -shm file
 *     journal_mode=WAL, synchronous=FULL   each commit an append and an fsync
 *     secure_delete=OFF                else each page of a chunk that goes is written once more, with zeroes
 *     wal_autocheckpoint=0             SQLite's own ignores failures, also of an fsync: commit.c does it
 *
 * A format is never changed but with a new FORMAT and a way from the old one to it, here.
 */
#include "store/internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define APPLICATION_ID 0x77656972 /* "weir" */
#define FORMAT         1
#define OPEN_WAIT_MS   1000

/* Measured with 256 items of 512 bytes a chunk: smaller pages cost calls, larger ones copying of those that hold the
 * small tables. */
#define PAGE_BYTES       "16384"
#define CACHE_KIB        "8192"
#define WAL_KEPT_BYTES   "67108864" /* a larger WAL, of a large transaction, is cut to that */
#define CHECKPOINT_BYTES (16 << 20)

static const char schema[] =
	"CREATE TABLE meta(one INTEGER PRIMARY KEY CHECK(one = 1), run TEXT NOT NULL, plan TEXT NOT NULL,"
	" source TEXT NOT NULL) STRICT;"
	"CREATE TABLE progress(one INTEGER PRIMARY KEY CHECK(one = 1), next_chunk INTEGER NOT NULL,"
	" cursor TEXT NOT NULL, sealed INTEGER NOT NULL, read INTEGER NOT NULL, succeeded INTEGER NOT NULL,"
	" dropped INTEGER NOT NULL, dead INTEGER NOT NULL, sink_position BLOB NOT NULL,"
	" dead_position BLOB NOT NULL) STRICT;"
	"INSERT INTO progress VALUES(1, 1, '', 0, 0, 0, 0, 0, x'', x'');"
	"CREATE TABLE chunk(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL) "
	"STRICT;"
	"CREATE TABLE ack(chunk INTEGER PRIMARY KEY, settled BLOB NOT NULL) STRICT;"
	"CREATE TABLE retry(item INTEGER PRIMARY KEY, attempts INTEGER NOT NULL, at INTEGER NOT NULL,"
	" due INTEGER NOT NULL, why TEXT NOT NULL, history TEXT) STRICT;"
	"CREATE TABLE dead(id INTEGER PRIMARY KEY, position INTEGER NOT NULL, bad INTEGER NOT NULL,"
	" attempts INTEGER NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL, history TEXT,"
	" item BLOB NOT NULL) STRICT;";

/* ---- the file */

static int64_t file_bytes(const char *path, const char *suffix)
{
	char *name = sqlite3_mprintf("%s%s", path, suffix);
	struct stat st;
	int64_t bytes = !name || stat(name, &st) ? -1 : (int64_t)st.st_size;
	sqlite3_free(name);
	return bytes;
}

/* An empty file counts as none; one that was emptied beside its WAL does not. */
static int check_file(struct store *store, unsigned flags, struct weir_error *err)
{
	int64_t bytes = file_bytes(store->path, ""), wal = file_bytes(store->path, "-wal");
	if (bytes > 0)
		return 0;
	if (wal > 0)
		return sql_damaged(store, err, "it is %s, but there is a log that belongs to it",
				   bytes < 0 ? "gone" : "empty");
	if ((flags & STORE_CREATE) && !store->readonly)
		return 0;
	return weir_error_set(err, WEIR_ENOENT, "there is no %s", store->path);
}

/* Reading alone, without locks, which would be written, and without making a WAL. */
static int open_for_looking(struct store *store)
{
	if (file_bytes(store->path, "-wal") > 0)
		return sqlite3_open_v2(store->path, &store->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
				       "unix-none");
	struct buf uri = {0};
	buf_add_str(&uri, "file:");
	for (const char *c = store->path; *c; c++)
		if (strchr("?#%", *c))
			buf_addf(&uri, "%%%02X", (unsigned char)*c);
		else
			buf_add_char(&uri, *c);
	buf_add_str(&uri, "?immutable=1");
	int rc = uri.failed ? SQLITE_NOMEM
			    : sqlite3_open_v2(uri.data, &store->db,
					      SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL);
	buf_fini(&uri);
	return rc;
}

static int open_file(struct store *store)
{
	int rc = store->readonly ? open_for_looking(store)
				 : sqlite3_open_v2(store->path, &store->db,
						   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
							   SQLITE_OPEN_PRIVATECACHE,
						   NULL);
	if (rc)
		return rc;
	sqlite3_extended_result_codes(store->db, 1);
	sqlite3_busy_timeout(store->db, OPEN_WAIT_MS);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, store->readonly, NULL);
	return sql_exec(store, "PRAGMA locking_mode=EXCLUSIVE;"
			       "PRAGMA cell_size_check=ON;"
			       "PRAGMA temp_store=MEMORY;"
			       "PRAGMA cache_size=-" CACHE_KIB);
}

/* ---- what is in it */

static int check_format(struct store *store, bool *ret_new, struct weir_error *err)
{
	int64_t id = 0, format = 0, tables = 0;
	int rc = sql_number(store, "PRAGMA application_id", &id);
	if (!rc)
		rc = sql_number(store, "PRAGMA user_version", &format);
	if (!rc)
		rc = sql_number(store, "SELECT count(*) FROM sqlite_schema", &tables);
	if (rc)
		return sql_fail(store, rc, err);
	*ret_new = !id && !format && !tables;
	if (*ret_new)
		return 0;
	if (id != APPLICATION_ID)
		return weir_error_set(err, WEIR_EDATA,
				      "%s is a database, but no store of weir; move it away, or choose another folder "
				      "with --state",
				      store->path);
	if (format > FORMAT)
		return weir_error_set(err, WEIR_EDATA,
				      "%s has format %lld, of a later weir; this one knows formats up to %d: take the "
				      "later weir, or another folder with --state",
				      store->path, (long long)format, FORMAT);
	return format == FORMAT ? 0 : sql_damaged(store, err, "its format is %lld", (long long)format);
}

/* As SQLite has really taken it. */
static int set_and_check(struct store *store, const char *pragma, const char *query, const char *wanted,
			 struct weir_error *err)
{
	sqlite3_stmt *statement = NULL;
	char value[16] = "";
	int rc = sql_exec(store, pragma);
	if (!rc)
		rc = sqlite3_prepare_v2(store->db, query, -1, &statement, NULL);
	if (!rc && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
		snprintf(value, sizeof value, "%s", (const char *)sqlite3_column_text(statement, 0));
		rc = 0;
	}
	int code = rc ? sql_fail(store, rc, err) : 0;
	sqlite3_finalize(statement);
	if (code || strcmp(value, wanted) == 0)
		return code;
	return weir_error_set(err, WEIR_EIO, "%s: the file system cannot do a durable log (%s gives %s)", store->path,
			      query, value);
}

static int take_wal_pages(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *store = arg;
	(void)db;
	(void)name;
	store->wal_pages = pages;
	return SQLITE_OK;
}

static int make_durable(struct store *store, struct weir_error *err)
{
	int rc = sql_exec(store, "PRAGMA secure_delete=OFF;"
				 "PRAGMA page_size=" PAGE_BYTES ";"
				 "PRAGMA wal_autocheckpoint=0;"
				 "PRAGMA journal_size_limit=" WAL_KEPT_BYTES);
	if (rc)
		return sql_fail(store, rc, err);
	int code = set_and_check(store, "PRAGMA synchronous=FULL", "PRAGMA synchronous", "2", err);
	if (!code)
		code = set_and_check(store, "PRAGMA journal_mode=WAL", "PRAGMA journal_mode", "wal", err);
	sqlite3_wal_hook(store->db, take_wal_pages, store);
	return code;
}

static int make_schema(struct store *store, struct weir_error *err)
{
	char text[96];
	snprintf(text, sizeof text, "PRAGMA application_id=%d;PRAGMA user_version=%d", APPLICATION_ID, FORMAT);
	int rc = sql_exec(store, "BEGIN IMMEDIATE");
	if (!rc)
		rc = sql_exec(store, schema);
	if (!rc)
		rc = sql_exec(store, text);
	if (!rc)
		rc = sql_exec(store, "COMMIT");
	return rc ? sql_fail(store, rc, err) : 0;
}

/* ---- into memory */

static int read_progress(struct store *store)
{
	static const char query[] = "SELECT next_chunk, cursor, sealed, read, succeeded, dropped, dead FROM progress";
	struct progress *progress = &store->progress;
	sqlite3_stmt *row = NULL;
	int rc = sqlite3_prepare_v2(store->db, query, -1, &row, NULL);
	if (!rc)
		rc = sqlite3_step(row);
	if (rc == SQLITE_ROW) {
		const char *cursor = (const char *)sqlite3_column_text(row, 1);
		progress->next_chunk = (uint64_t)sqlite3_column_int64(row, 0);
		snprintf(progress->cursor.text, sizeof progress->cursor.text, "%s", cursor ? cursor : "");
		progress->sealed = sqlite3_column_int(row, 2);
		progress->accounts.read = (uint64_t)sqlite3_column_int64(row, 3);
		progress->accounts.succeeded = (uint64_t)sqlite3_column_int64(row, 4);
		progress->accounts.dropped = (uint64_t)sqlite3_column_int64(row, 5);
		progress->accounts.dead = (uint64_t)sqlite3_column_int64(row, 6);
		rc = SQLITE_OK;
	} else if (rc == SQLITE_DONE)
		rc = SQLITE_CORRUPT;
	sqlite3_finalize(row);
	return rc;
}

static int read_chunk(struct store *store, sqlite3_stmt *row, struct weir_error *err)
{
	const unsigned char *settled = sqlite3_column_blob(row, 3);
	int64_t n = sqlite3_column_int64(row, 1);
	struct index_chunk chunk = {
		.id = (uint64_t)sqlite3_column_int64(row, 0),
		.bytes = (uint64_t)sqlite3_column_int64(row, 2),
		.stored = true,
		.acked = settled,
	};
	if (settled && sqlite3_column_bytes(row, 3) != CHUNK_BITS_BYTES)
		return sql_damaged(store, err, "chunk %llu has no valid bitmap", (unsigned long long)chunk.id);
	if (settled)
		chunk.settled = chunk_bits_read(settled);
	if (n < 1 || n > CHUNK_ITEMS || chunk_count(&chunk.settled) >= n || chunk.id >= store->progress.next_chunk)
		return sql_damaged(store, err, "chunk %llu cannot have %lld items, %u of them settled",
				   (unsigned long long)chunk.id, (long long)n, chunk_count(&chunk.settled));
	chunk.n = (unsigned)n;
	chunk.left = chunk.n - chunk_count(&chunk.settled);
	return index_append(&store->index, &chunk) ? weir_error_set(err, WEIR_ENOMEM, "out of memory") : 0;
}

/* A body's length is known without reading it. */
static int read_chunks(struct store *store, struct weir_error *err)
{
	static const char query[] = "SELECT c.id, c.n, length(c.body), a.settled FROM chunk AS c"
				    " LEFT JOIN ack AS a ON a.chunk = c.id ORDER BY c.id";
	sqlite3_stmt *row = NULL;
	int rc = sqlite3_prepare_v2(store->db, query, -1, &row, NULL), code = 0;
	while (!rc && !code && (rc = sqlite3_step(row)) == SQLITE_ROW) {
		code = read_chunk(store, row, err);
		rc = 0;
	}
	sqlite3_finalize(row);
	index_keep(&store->index);
	return code ? code : rc != SQLITE_DONE ? sql_fail(store, rc, err) : 0;
}

static int read_retries(struct store *store, struct weir_error *err)
{
	sqlite3_stmt *row = NULL;
	int rc = sqlite3_prepare_v2(store->db, "SELECT item FROM retry", -1, &row, NULL);
	while (!rc && (rc = sqlite3_step(row)) == SQLITE_ROW) {
		uint64_t id = (uint64_t)sqlite3_column_int64(row, 0);
		struct index_chunk *chunk = index_find(&store->index, store_chunk_of(id));
		if (chunk)
			chunk_set(&chunk->retried, id % CHUNK_ITEMS);
		rc = 0;
	}
	sqlite3_finalize(row);
	return rc != SQLITE_DONE ? sql_fail(store, rc, err) : 0;
}

static int read_numbers(struct store *store, struct weir_error *err)
{
	int64_t page = 0, pages = 0, unused = 0, letters = 0;
	int rc = sql_number(store, "PRAGMA page_size", &page);
	if (!rc)
		rc = sql_number(store, "PRAGMA page_count", &pages);
	if (!rc)
		rc = sql_number(store, "PRAGMA freelist_count", &unused);
	if (!rc)
		rc = sql_number(store, "SELECT count(*) FROM dead", &letters);
	if (rc)
		return sql_fail(store, rc, err);
	store->page_bytes = (uint64_t)page;
	store->bytes = (uint64_t)(pages - unused) * (uint64_t)page;
	store->letters = (uint64_t)letters;
	store->checkpoint_at = (int)(CHECKPOINT_BYTES / page);
	return 0;
}

static int read_all(struct store *store, struct weir_error *err)
{
	int rc = read_progress(store);
	int code = rc ? sql_fail(store, rc, err) : read_chunks(store, err);
	if (!code)
		code = read_retries(store, err);
	return code ? code : read_numbers(store, err);
}

int schema_open(struct store *store, unsigned flags, struct weir_error *err)
{
	bool is_new = false;
	int code = check_file(store, flags, err);
	if (code)
		return code;
	int rc = open_file(store);
	if (rc)
		return sql_fail(store, rc, err);
	code = check_format(store, &is_new, err);
	if (!code && is_new && (store->readonly || !(flags & STORE_CREATE)))
		return weir_error_set(err, WEIR_ENOENT, "there is nothing in %s", store->path);
	if (!code && !store->readonly)
		code = make_durable(store, err);
	if (!code && is_new)
		code = make_schema(store, err);
	if (!code)
		code = sql_prepare(store, err);
	return code ? code : read_all(store, err);
}
