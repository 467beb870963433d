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
 * A format is never changed but with a new FORMAT and a way from the old one to it, in upgrade.c.
 */
#include "sqlite/store/internal.h"

#include <stdio.h>
#include <string.h>

#define APPLICATION_ID 0x77656972 /* "weir" */
#define FORMAT         3
#define OPEN_WAIT_MS   1000

/* Measured with 256 items of 512 bytes a chunk: smaller pages cost calls, larger ones copying of those that hold the
 * small tables. */
#define PAGE_BYTES       "16384"
#define CACHE_KIB        "8192"
#define WAL_KEPT_BYTES   "67108864" /* a larger WAL, of a large transaction, is cut to that */
#define CHECKPOINT_BYTES (16 << 20)
#define LETTERS_READ     10000 /* of so many each is checked when the store is opened; of more, as it is read */

static const char schema[] =
	"CREATE TABLE meta(one INTEGER PRIMARY KEY CHECK(one = 1), run TEXT NOT NULL, plan TEXT NOT NULL,"
	" source TEXT NOT NULL, file TEXT NOT NULL) STRICT;"
	"CREATE TABLE progress(one INTEGER PRIMARY KEY CHECK(one = 1), next_chunk INTEGER NOT NULL,"
	" cursor TEXT NOT NULL, sealed INTEGER NOT NULL, read INTEGER NOT NULL, succeeded INTEGER NOT NULL,"
	" dropped INTEGER NOT NULL, dead INTEGER NOT NULL, letters INTEGER NOT NULL, clean INTEGER NOT NULL,"
	" sink_position BLOB NOT NULL, dead_position BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;"
	"CREATE TABLE chunk(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL) "
	"STRICT;"
	"CREATE TABLE ack(chunk INTEGER PRIMARY KEY, settled BLOB NOT NULL) STRICT;"
	"CREATE TABLE retry(item INTEGER PRIMARY KEY, attempts INTEGER NOT NULL, at INTEGER NOT NULL,"
	" due INTEGER NOT NULL, why TEXT NOT NULL, history TEXT, taken INTEGER, tried INTEGER, record BLOB) STRICT;"
	"CREATE TABLE dead(id INTEGER PRIMARY KEY, position INTEGER NOT NULL, bad INTEGER NOT NULL,"
	" attempts INTEGER NOT NULL, at INTEGER NOT NULL, cause INTEGER NOT NULL, crc INTEGER NOT NULL,"
	" reason TEXT NOT NULL, history TEXT, evidence TEXT, item BLOB NOT NULL) STRICT;";

/* ---- the file */

static int open_file(struct store *store)
{
	int rc = store->readonly ? file_open_for_looking(store)
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

/* *ret_format: 0 if there is nothing in it. */
static int check_format(struct store *store, int *ret_format, struct weir_error *err)
{
	int64_t id = 0, format = 0, tables = 0;
	int rc = sql_number(store, "PRAGMA application_id", &id);
	if (!rc)
		rc = sql_number(store, "PRAGMA user_version", &format);
	if (!rc)
		rc = sql_number(store, "SELECT count(*) FROM sqlite_schema", &tables);
	if (rc)
		return sql_fail(store, rc, err);
	*ret_format = (int)format;
	if (!id && !format && !tables)
		return 0;
	if (id != APPLICATION_ID)
		return weir_error_set(err, WEIR_EDATA,
				      "%s is a database, but not a state of weir; move it away, or choose another "
				      "folder with --state",
				      store->path);
	if (format > FORMAT)
		return weir_error_set(err, WEIR_EDATA,
				      "%s has format %lld, from a newer weir; this version reads formats up to %d: use "
				      "the newer weir, or another folder with --state",
				      store->path, (long long)format, FORMAT);
	return format > 0 ? 0 : sql_damaged(store, err, "its format is %lld", (long long)format);
}

/* Only a weir that may write can bring it up to date. */
static int check_upgrade(const struct store *store, int format, struct weir_error *err)
{
	if (!store->readonly)
		return 0;
	return weir_error_set(err, WEIR_EINVAL,
			      "%s has format %d, from an older weir, and is read-only here; this weir upgrades it to "
			      "format %d as soon as it can write it",
			      store->path, format, FORMAT);
}

/* As SQLite has really taken it. */
static int set_and_check(struct store *store, const char *pragma, const char *query, const char *wanted,
			 struct weir_error *err)
{
	char value[SQL_TEXT_BYTES] = "";
	int rc = sql_exec(store, pragma);
	if (!rc)
		rc = sql_text(store, query, value);
	int code = rc ? sql_fail(store, rc, err) : 0;
	if (code || strcmp(value, wanted) == 0)
		return code;
	return weir_error_set(err, WEIR_EIO, "%s: the file system does not support a durable log (%s gives %s)",
			      store->path, query, value);
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

static int add_progress(struct store *store)
{
	static const struct value positions[OUTLETS];
	char text[160];
	store->progress = (struct store_progress){.next_chunk = 1, .clean = true};
	snprintf(text, sizeof text, "INSERT INTO progress VALUES(1, 1, '', 0, 0, 0, 0, 0, 0, 1, x'', x'', %llu)",
		 (unsigned long long)checksum_progress(&store->progress, positions));
	return sql_exec(store, text);
}

static int make_schema(struct store *store, struct weir_error *err)
{
	char text[96];
	snprintf(text, sizeof text, "PRAGMA application_id=%d;PRAGMA user_version=%d", APPLICATION_ID, FORMAT);
	int rc = sql_exec(store, "BEGIN IMMEDIATE");
	if (!rc)
		rc = sql_exec(store, schema);
	if (!rc)
		rc = add_progress(store);
	if (!rc)
		rc = sql_exec(store, text);
	if (!rc)
		rc = sql_exec(store, "COMMIT");
	return rc ? sql_fail(store, rc, err) : 0;
}

int schema_quick_check(struct store *store, struct weir_error *err)
{
	char found[SQL_TEXT_BYTES];
	int rc = sql_text(store, "PRAGMA quick_check(1)", found);
	if (rc)
		return sql_fail(store, rc, err);
	for (char *c = found; *c; c++)
		*c = *c == '\n' ? ' ' : *c;
	return strcmp(found, "ok") == 0
		       ? 0
		       : sql_damaged(store, err, "its run did not close it, and its pages are damaged: %s", found);
}

/* ---- into memory */

static int read_progress(struct store *store, struct weir_error *err)
{
	bool matches = true;
	int rc = progress_read(store, &matches);
	if (rc)
		return sql_fail(store, rc, err);
	store->was_clean = store->progress.clean;
	if (!matches && !store->unchecked)
		return sql_damaged(store, err, "the checksum of its progress does not match");
	return 0;
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
		return sql_damaged(store, err, "chunk %llu has an invalid bitmap", (unsigned long long)chunk.id);
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

/* Letters are found by their ids: where these do not grow, a search passes some over, and pages of them go in a circle.
 */
static int count_letters(struct store *store, uint64_t *ret_n, struct weir_error *err)
{
	sqlite3_stmt *row = NULL;
	uint64_t n = 0, last = 0;
	bool ordered = true;
	int rc = sqlite3_prepare_v2(store->db, "SELECT id FROM dead", -1, &row, NULL);
	while (!rc && ordered && (rc = sqlite3_step(row)) == SQLITE_ROW) {
		ordered = (uint64_t)sqlite3_column_int64(row, 0) > last;
		last = (uint64_t)sqlite3_column_int64(row, 0);
		n++;
		rc = 0;
	}
	sqlite3_finalize(row);
	if (rc && rc != SQLITE_DONE)
		return sql_fail(store, rc, err);
	if (!ordered)
		return sql_damaged(store, err, "its dead letters are not ordered by id");
	*ret_n = n;
	return 0;
}

static int read_letters(struct store *store, uint64_t *ret_n, struct weir_error *err)
{
	struct letter letter = {0};
	bool bad;
	int code;
	letters_bind(store, &(struct letter_query){0}, 0, 0);
	while ((code = letters_next(store, &letter, &bad, err)) > 0)
		++*ret_n;
	sql_reset(store, SQL_GET_DEAD);
	return code;
}

/* Whether all are there, in order, and, unless that takes long, whether each is as it was written. */
static int check_letters(struct store *store, struct weir_error *err)
{
	uint64_t n = 0;
	int code =
		store->progress.letters <= LETTERS_READ ? read_letters(store, &n, err) : count_letters(store, &n, err);
	if (code || n == store->progress.letters)
		return code;
	return sql_damaged(store, err, "it has %llu dead letters, and should have %llu", (unsigned long long)n,
			   (unsigned long long)store->progress.letters);
}

static int read_numbers(struct store *store, struct weir_error *err)
{
	int64_t page = 0;
	int rc = sql_number(store, "PRAGMA page_size", &page);
	store->page_bytes = (uint64_t)page;
	if (!rc)
		rc = sql_pages(store, NULL, &store->bytes);
	if (rc)
		return sql_fail(store, rc, err);
	store->checkpoint_at = (int)(CHECKPOINT_BYTES / page);
	return 0;
}

/* A chunk or a bitmap that is missing shows here, long before the pages are checked. */
static int check_accounts(struct store *store, struct weir_error *err)
{
	struct weir_error why = {0};
	if (store->unchecked || !broker_check_accounts(&store->progress.accounts, store->index.unfinished, &why))
		return 0;
	return sql_damaged(store, err, "%s", why.text);
}

/* What is read first decides what the rest is believed to be. */
static int read_all(struct store *store, struct weir_error *err)
{
	int code = read_progress(store, err);
	store->unproven = store->unproven && !store->was_clean;
	if (!code && !store->was_clean && !store->unchecked && !store->unproven)
		code = schema_quick_check(store, err);
	if (!code && !store->unchecked)
		code = check_letters(store, err);
	if (!code)
		code = read_chunks(store, err);
	if (!code)
		code = check_accounts(store, err);
	if (!code)
		code = read_retries(store, err);
	return code ? code : read_numbers(store, err);
}

static int bring_up_to_date(struct store *store, int format, struct weir_error *err)
{
	int code = check_upgrade(store, format, err);
	if (!code)
		code = schema_quick_check(store, err);
	return code ? code : upgrade(store, format, err);
}

int schema_look(struct store *store, unsigned flags, int *ret_format, struct weir_error *err)
{
	int code = file_prepare(store, flags, err);
	if (code)
		return code;
	int rc = open_file(store);
	if (rc)
		return sql_fail(store, rc, err);
	code = check_format(store, ret_format, err);
	if (!code && !*ret_format && (store->readonly || !(flags & STORE_CREATE)))
		return weir_error_set(err, WEIR_ENOENT, "there is nothing in %s", store->path);
	return code;
}

int schema_open(struct store *store, unsigned flags, struct weir_error *err)
{
	int format = 0;
	int code = schema_look(store, flags, &format, err);
	if (code)
		return code;
	if (!store->readonly)
		code = make_durable(store, err);
	if (!code && !format)
		code = make_schema(store, err);
	else if (!code && format < FORMAT)
		code = bring_up_to_date(store, format, err);
	if (!code)
		code = sql_prepare(store, err);
	return code ? code : read_all(store, err);
}
