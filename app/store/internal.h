/* SPDX-License-Identifier: MIT */
/* What the files of the store share.  The only header that knows SQLite. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <sqlite3.h>

#include "store/index.h"
#include "store/store.h"

/* Name, text; prepared at open.  ?1 ... are bound by sql_bind_*() in their order of numbers. */
#define STORE_STATEMENTS(X)                                                                                            \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                                    \
	X(COMMIT, "COMMIT")                                                                                            \
	X(ROLLBACK, "ROLLBACK")                                                                                        \
	X(PAGES, "PRAGMA page_count")                                                                                  \
	X(FREE_PAGES, "PRAGMA freelist_count")                                                                         \
	X(ADD_CHUNK, "INSERT INTO chunk(id, n, crc, body) VALUES(?1, ?2, ?3, ?4)")                                     \
	X(GET_CHUNK, "SELECT n, crc, body FROM chunk WHERE id = ?1")                                                   \
	X(DROP_CHUNK, "DELETE FROM chunk WHERE id = ?1")                                                               \
	X(SET_ACK, "INSERT INTO ack(chunk, settled) VALUES(?1, ?2)"                                                    \
		   " ON CONFLICT(chunk) DO UPDATE SET settled = excluded.settled")                                     \
	X(DROP_ACK, "DELETE FROM ack WHERE chunk = ?1")                                                                \
	X(SET_RETRY, "INSERT INTO retry(item, attempts, at, due, why, history) VALUES(?1, ?2, ?3, ?4, ?5, ?6)"         \
		     " ON CONFLICT(item) DO UPDATE SET attempts = excluded.attempts, at = excluded.at,"                \
		     " due = excluded.due, why = excluded.why")                                                        \
	X(GET_RETRIES, "SELECT item, attempts, at, due, why FROM retry WHERE item BETWEEN ?1 AND ?2")                  \
	X(DROP_RETRIES, "DELETE FROM retry WHERE item BETWEEN ?1 AND ?2")                                              \
	X(ADD_DEAD, "INSERT INTO dead(id, position, bad, attempts, at, reason, item, history)"                         \
		    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, (SELECT history FROM retry WHERE item = ?1))")                \
	X(GET_DEAD, "SELECT id, position, bad, attempts, at, reason, item, history FROM dead"                          \
		    " WHERE id > ?1 AND id <= ?2 AND (?3 IS NULL OR instr(reason, ?3) > 0) ORDER BY id LIMIT ?4")      \
	X(DROP_DEAD, "DELETE FROM dead WHERE id = ?1")                                                                 \
	X(SET_PROGRESS, "UPDATE progress SET next_chunk = ?1, cursor = ?2, sealed = ?3, read = ?4, succeeded = ?5,"    \
			" dropped = ?6, dead = ?7, sink_position = coalesce(?8, sink_position),"                       \
			" dead_position = coalesce(?9, dead_position)")                                                \
	X(GET_POSITIONS, "SELECT sink_position, dead_position FROM progress")                                          \
	X(SET_META, "INSERT OR REPLACE INTO meta(one, run, plan, source) VALUES(1, ?1, ?2, ?3)")                       \
	X(GET_META, "SELECT run, plan, source FROM meta")

enum sql {
#define STORE_X(name, text) SQL_##name,
	STORE_STATEMENTS(STORE_X)
#undef STORE_X
		SQL_STATEMENTS,
};

/* The row of `progress` but for the sinks' positions, which only recall() reads. */
struct progress {
	uint64_t next_chunk;
	struct source_cursor cursor;
	bool sealed;
	struct broker_accounts accounts;
};

struct store {
	sqlite3 *db;
	char *path;
	bool readonly;
	sqlite3_stmt *statements[SQL_STATEMENTS];
	struct index index;
	struct progress progress;
	uint64_t letters;
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
int sql_number(struct store *store, const char *query, int64_t *ret_number);      /* first column of the first row */
int sql_bind_bytes(sqlite3_stmt *statement, int at, const void *bytes, size_t n); /* borrowed; never NULL in SQL */

/* --- schema.c --- */

int schema_open(struct store *store, unsigned flags, struct weir_error *err);

/* --- commit.c --- */

/* Around the change of a transaction.  begin() gives SQLite's code; end() commits if rc is 0, else takes back all, the
 * index, too; progress is what it then is. */
int commit_begin(struct store *store);
int commit_end(struct store *store, int rc, const struct progress *progress, const struct value *const *positions,
	       struct weir_error *err);

/* Writes a chunk and puts it into the index: SQLite's code. */
int commit_add_chunk(struct store *store, uint64_t id, struct item *const *items, size_t n);

/* Settles an item that is not (index.h); the rows of all that has changed.  WEIR_ENOMEM; SQLite's code. */
bool commit_has(struct store *store, uint64_t id);
int commit_settle(struct store *store, uint64_t id);
int commit_write_changes(struct store *store);

/* Copies the WAL into the file, so that it starts anew.  Only its failures for good are told. */
int commit_checkpoint(struct store *store, int mode, struct weir_error *err);

/* --- load.c --- */

/* As store_load(), but a chunk that is damaged does not spoil the store. */
int load_chunk(struct store *store, uint64_t id, struct item **items, struct weir_error *err);

int64_t store_wall_ns(void);

#endif
