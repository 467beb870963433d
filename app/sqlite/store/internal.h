/* SPDX-License-Identifier: MIT */
/* What the files of the store share.  The only header that knows SQLite. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <sqlite3.h>

#include "port/letter.h"
#include "sqlite/store/index.h"
#include "sqlite/store/store.h"

_Static_assert(STORE_CHUNK_ITEMS == CHUNK_ITEMS, "a chunk has its bits");

/* Name, text; prepared at open.  ?1 ... are bound by sql_bind_*() in their order of numbers. */
#define STORE_STATEMENTS(X)                                                                                            \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                                    \
	X(COMMIT, "COMMIT")                                                                                            \
	X(ROLLBACK, "ROLLBACK")                                                                                        \
	X(PAGES, "PRAGMA page_count")                                                                                  \
	X(FREE_PAGES, "PRAGMA freelist_count")                                                                         \
	X(ADD_CHUNK, "INSERT INTO chunk(id, n, crc, body) VALUES(?1, ?2, ?3, ?4)")                                     \
	X(GET_CHUNK, "SELECT n, crc, body FROM chunk WHERE id = ?1")                                                   \
	X(SET_CHUNK, "UPDATE chunk SET crc = ?2, body = ?3 WHERE id = ?1")                                             \
	X(DROP_CHUNK, "DELETE FROM chunk WHERE id = ?1")                                                               \
	X(SET_ACK, "INSERT INTO ack(chunk, settled) VALUES(?1, ?2)"                                                    \
		   " ON CONFLICT(chunk) DO UPDATE SET settled = excluded.settled")                                     \
	X(DROP_ACK, "DELETE FROM ack WHERE chunk = ?1")                                                                \
	X(SET_RETRY, "INSERT INTO retry(item, attempts, at, due, why, history, taken, tried, record)"                  \
		     " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"                                                     \
		     " ON CONFLICT(item) DO UPDATE SET attempts = excluded.attempts, at = excluded.at,"                \
		     " due = excluded.due, why = excluded.why, taken = excluded.taken, tried = excluded.tried,"        \
		     " record = excluded.record")                                                                      \
	X(GET_RETRIES, "SELECT item, attempts, at, due, why, taken, tried, record, history FROM retry"                 \
		       " WHERE item BETWEEN ?1 AND ?2")                                                                \
	X(DROP_RETRIES, "DELETE FROM retry WHERE item BETWEEN ?1 AND ?2")                                              \
	X(GET_HISTORY, "SELECT history FROM retry WHERE item = ?1")                                                    \
	X(ADD_DEAD, "INSERT INTO dead(id, position, bad, attempts, at, reason, history, evidence, cause, item, crc)"   \
		    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")                                           \
	X(GET_DEAD, "SELECT id, position, bad, attempts, at, reason, history, evidence, cause, item, crc FROM dead"    \
		    " WHERE id > ?1 AND id <= ?2 AND (?3 IS NULL OR instr(reason, ?3) > 0)"                            \
		    " AND (?4 IS NULL OR cause = ?4) ORDER BY id LIMIT ?5")                                            \
	X(DROP_DEAD, "DELETE FROM dead WHERE id = ?1")                                                                 \
	X(SET_PROGRESS, "UPDATE progress SET next_chunk = ?1, cursor = ?2, sealed = ?3, read = ?4, succeeded = ?5,"    \
			" dropped = ?6, dead = ?7, letters = ?8, clean = ?9, sink_position = ?10,"                     \
			" dead_position = ?11, crc = ?12")                                                             \
	X(SET_META, "INSERT OR REPLACE INTO meta(one, run, plan, source, file) VALUES(1, ?1, ?2, ?3, ?4)")             \
	X(GET_META, "SELECT run, plan, source, file FROM meta")

enum sql {
#define STORE_X(name, text) SQL_##name,
	STORE_STATEMENTS(STORE_X)
#undef STORE_X
		SQL_STATEMENTS,
};

/* The row of `progress` but for the sinks' positions. */
struct store_progress {
	uint64_t next_chunk;
	struct source_cursor cursor;
	bool sealed;
	bool clean; /* no run has the store: the last one has closed it */
	struct broker_accounts accounts;
	uint64_t letters; /* rows of `dead` */
};

struct store {
	sqlite3 *db;
	char *path;
	bool readonly;
	bool unchecked; /* STORE_VERIFY: damage is for store_verify() to find */
	bool unproven;  /* STORE_CHECK_LATER: the pages are to be checked */
	bool unclean;   /* and is to stay so when it is closed */
	bool was_clean; /* progress.clean as it was found */
	bool began;     /* store_start() was called */
	sqlite3_stmt *statements[SQL_STATEMENTS];
	struct index index;
	struct store_progress progress;
	struct buf positions[OUTLETS]; /* of the sinks */
	uint64_t bytes, page_bytes;
	int wal_pages;            /* as the last commit left them */
	int checkpoint_at;        /* when they are so many */
	struct buf body;          /* of the chunk that is written */
	struct weir_error failed; /* for good: what every further call answers */
};

#define store_require(condition, text)                                                                                 \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			store_broken(__FILE__, __LINE__, text);                                                        \
	} while (0)
_Noreturn void store_broken(const char *file, int line, const char *text);

/* --- sql.c: statements and their failures --- */

/* The code for a failure of SQLite, with err filled; spoils the store if it is for good. */
int sql_fail(struct store *store, int rc, struct weir_error *err);
int sql_damaged(struct store *store, struct weir_error *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Whether the store is spoilt: its code, else 0. */
int sql_check(const struct store *store, struct weir_error *err);

int sql_prepare(struct store *store, struct weir_error *err);
void sql_finalize(struct store *store);

/* These give SQLite's codes. */
int sql_run(struct store *store, enum sql which); /* a statement without rows, its parameters bound: SQLITE_OK */
int sql_step(struct store *store, enum sql which);
void sql_reset(struct store *store, enum sql which);
int sql_run_u64(struct store *store, enum sql which, uint64_t value); /* binds it as ?1 */
int sql_exec(struct store *store, const char *text);
#define SQL_TEXT_BYTES 160
int sql_text(struct store *store, const char *query, char text[SQL_TEXT_BYTES]);   /* first column of the first row */
int sql_number(struct store *store, const char *query, int64_t *ret_number);       /* the same */
int sql_pages(struct store *store, uint64_t *ret_free_bytes, uint64_t *ret_bytes); /* of the file; free: or NULL */
int sql_bind_bytes(sqlite3_stmt *statement, int at, const void *bytes, size_t n);  /* borrowed; never NULL in SQL */

/* --- checksum.c: over all columns of a row but the checksum itself --- */

uint32_t checksum_progress(const struct store_progress *progress, const struct value positions[OUTLETS]);
uint32_t checksum_letter(const struct letter *letter, bool bad);

/* --- schema.c --- */

int schema_open(struct store *store, unsigned flags, struct weir_error *err);

/* The first part of that: opens the file and finds its format, 0 if it is to be made; changes nothing in it. */
int schema_look(struct store *store, unsigned flags, int *ret_format, struct weir_error *err);

/* SQLite's own check of the pages, which takes half a second for 150 MB. */
int schema_quick_check(struct store *store, struct weir_error *err);

/* --- progress.c --- */

/* The row of `progress` into memory, and whether its checksum matches (in a file of this format). */
int progress_read(struct store *store, bool *ret_matches);

/* --- file.c: the files below SQLite --- */

/* Before SQLite sees them: is it there, is it a regular file, may only its owner read it.  Makes an empty one with
 * STORE_CREATE. */
int file_prepare(struct store *store, unsigned flags, struct weir_error *err);

/* Opens it for looking: without locks, which would be written, and without making a WAL.  SQLite's code. */
int file_open_for_looking(struct store *store);

/* --- upgrade.c --- */

/* From an earlier format to the one of today, in one transaction. */
int upgrade(struct store *store, int format, struct weir_error *err);

/* --- commit.c --- */

/* Around the change of a transaction.  begin() gives SQLite's code; end() commits if rc is 0, else takes back all, the
 * index, too; progress is what it then is. */
int commit_begin(struct store *store);
int commit_end(struct store *store, int rc, const struct store_progress *progress, const struct value *const *positions,
	       struct weir_error *err);

/* Takes a transaction back after a failure that err tells: its code, or that of a worse one. */
int commit_abandon(struct store *store, int code, struct weir_error *err);

/* Writes a chunk and puts it into the index: SQLite's code. */
int commit_add_chunk(struct store *store, uint64_t id, struct item *const *items, size_t n);

/* Settles an item that is not (index.h); the rows of all that has changed.  WEIR_ENOMEM; SQLite's code. */
bool commit_has(struct store *store, uint64_t id);
int commit_settle(struct store *store, uint64_t id);
int commit_write_changes(struct store *store);

/* Copies the WAL into the file, so that it starts anew.  Only its failures for good are told. */
int commit_checkpoint(struct store *store, int mode, struct weir_error *err);

/* --- purge.c --- */

#define PURGE_IN_MEMORY ((uint64_t)64 << 20)

/* Writes the file again without what is free in it, and cuts the log to nothing. */
int purge_rewrite(struct store *store, struct weir_error *err);

/* --- letters.c --- */

/* Binds a query to SQL_GET_DEAD.  The first row is that after `after`. */
void letters_bind(struct store *store, const struct letter_query *query, uint64_t after, size_t limit);

/* The letter of a row with its columns in the order of SQL_GET_DEAD's, borrowed from it. */
struct letter letters_read(sqlite3_stmt *row);

/* The letter of SQL_GET_DEAD's row, borrowed from it, and whether its checksum matches. */
bool letters_take(struct store *store, struct letter *ret_letter, bool *ret_bad);

/* Steps to the next letter and takes it: 1; 0: there are no more.  WEIR_EDATA when it is damaged, or does not come
 * after the one that *letter was, by its id. */
int letters_next(struct store *store, struct letter *letter, bool *ret_bad, struct weir_error *err);

/* --- load.c --- */

/* As store_load(), but a chunk that is damaged does not spoil the store. */
int load_chunk(struct store *store, uint64_t id, struct item **items, struct weir_error *err);

int64_t store_wall_ns(void);

#endif
