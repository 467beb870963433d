/* SPDX-License-Identifier: MIT */
/*
 * A source of rows: a table or a query, read page by page in the order of a key.
 *
 *     SELECT * FROM orders WHERE id >= (key of the last row) ORDER BY id LIMIT 1000
 *
 * Nothing is open between two pages, neither a cursor nor a transaction, and the database may be written to meanwhile.
 * The position is the key of the last row.  A page begins with that row again, which is left out: so two rows with one
 * key are found wherever the page ends, instead of one being lost.
 *
 * A fiber reads page after page, each whole, and is one ahead of the page whose rows are given: the database and the
 * engine work at the same time, and any number of rows takes the memory of two pages.
 *
 * The database stands behind a few operations.  A source begins with a struct sql_pages, and most calls of its port
 * (port/source.h) are those here.  All on one fiber of the loop.
 */
#ifndef SQL_PAGES_H
#define SQL_PAGES_H

#include "data/buf.h"
#include "port/key.h"
#include "port/source.h"

#include <weir/group.h>

struct sql_source_config {
	char *table, *query; /* one of them */
	char *key, *where;   /* where may be NULL */
	int64_t page;
};

/* WEIR_EINVAL with err->text and the key to blame. */
int sql_source_check(const struct sql_source_config *config, const char **ret_key, struct weir_error *err);

/* Rows for the table of keys of a source whose config struct has a struct sql_source_config. */
#define SQL_SOURCE_KEYS(type, member)                                                                                  \
	{"table", KEY_STRING, offsetof(struct type, member.table), .flags = KEY_TABLE,                                 \
	 .text = "The table to read. Each row is an item, a JSON object"},                                             \
		{"query", KEY_STRING, offsetof(struct type, member.query), .flags = KEY_TABLE,                         \
		 .text = "Instead of a table: a SELECT, without parameters"},                                          \
		{"key", KEY_STRING, offsetof(struct type, member.key), .flags = KEY_REQUIRED,                          \
		 .text = "The column by which rows are read and found again: unique, not null, best with an index"},   \
		{"where", KEY_STRING, offsetof(struct type, member.where),                                             \
		 .text = "A condition in SQL; only rows for which it holds are read"},                                 \
	{                                                                                                              \
		"page", KEY_COUNT, offsetof(struct type, member.page), "1000", 1, 100000,                              \
			.flags = KEY_PACE, .text = "Maximum rows in one read"                                          \
	}

#define SQL_PAGE_BYTES ((size_t)2 << 20) /* of text: more makes the next page shorter */

struct sql_page;

struct sql_pages_ops {
	/* Adds at most n rows with sql_page_add(), in the order of the key, those from `from` on: a key as it was
	 * added, NULL: all.  0 when there are no more, 1 when there may be: n were added, or two at least of
	 * SQL_PAGE_BYTES and more.  Negative: nothing is used of what was added.  May suspend, as long as it takes, on
	 * a fiber of its own. */
	int (*read)(void *db, const char *from, size_t n, struct sql_page *page, struct weir_error *err);

	/* How many rows there are behind `behind`, if that is known within a second; *ret_exact, or an estimate; -1. */
	int64_t (*count)(void *db, const char *behind, bool *ret_exact);

	/* Appends what tells this database and its table from others. */
	void (*put_name)(const void *db, struct buf *out);
};

struct sql_row {
	size_t key, text, end; /* where in the page's text they begin; */
	const char *why;       /* a literal: the row is no item, for that reason; NULL */
};

struct sql_page {
	struct buf text; /* key and JSON of each row, each ended by a NUL */
	struct sql_row *rows;
	size_t n, room;
	size_t at;             /* the first row that is still to be given */
	int code;              /* of reading it: negative, or whether there may be more */
	struct weir_error err; /* of that */
};

struct sql_pages {
	const struct sql_source_config *config; /* this and the next two: borrowed */
	const struct sql_pages_ops *ops;
	void *db;

	struct sql_page all[2];
	size_t first, ready;        /* so many of them, from all[first] on, are there to be given */
	struct weir_event *changed; /* set and cleared when `ready` has */
	struct weir_group *reader;  /* the fiber; NULL: there is none yet */

	size_t ask;          /* rows of the next page: fewer where they are large */
	uint64_t read;       /* rows of pages that were read, and of what was given before a resume */
	char last_read[160]; /* key of the last of them */
	uint64_t position;   /* of the row that was given last, from 1; 0: there was none */
	char last[160];      /* and its key */
	bool counted, exact;
	int64_t total;
};

void sql_pages_init(struct sql_pages *pages, const struct sql_source_config *config, const struct sql_pages_ops *ops,
		    void *db);

/* Ends what is being read: before the database is closed.  May suspend, shielded. */
void sql_pages_fini(struct sql_pages *pages);

/* ---- for operations */

/* Adds a row: its key as text that the database can read again, its JSON in page->text from json_at on (which it then
 * ends); or why it is none, a literal.  key is not in page->text.  WEIR_ENOMEM. */
int sql_page_add(struct sql_page *page, const char *key, size_t json_at, const char *why);

/* Forgets its rows. */
void sql_page_clear(struct sql_page *page);

/* Appends SELECT what FROM … WHERE …, without an end; from: SQL for a key, or NULL. */
void sql_pages_put(const struct sql_source_config *config, const char *what, const char *from, struct buf *sql);

/* WEIR_EINVAL: the key is null somewhere, or else not unique. */
int sql_pages_refuse_key(const struct sql_pages *pages, bool has_nulls, struct weir_error *err);

/* ---- the port (port/source.h) of a source that begins with its struct sql_pages */

int sql_source_probe(struct source *source, struct buf *out, struct weir_error *err);
int sql_source_next(struct source *source, struct item *item, struct weir_error *err, weir_nsec deadline);
int64_t sql_source_total(const struct source *source, bool *ret_exact);
void sql_source_cursor(const struct source *source, struct source_cursor *ret_cursor);
bool sql_source_identify(const struct source *source,
			 struct buf *identity); /* put_name(), and a checksum of the config */
int sql_source_resume(struct source *source, const char *identity, const struct source_cursor *cursor, bool adopt,
		      struct weir_error *err);

#endif
