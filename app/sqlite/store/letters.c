/* SPDX-License-Identifier: MIT */
/*
 * Dead letters: rows of `dead`, under the ids that their items had.  Each is checked as it is read: its checksum, and
 * that ids only grow, since a damaged page may give the same rows again and again.
 *
 * Groups are counted in one walk over all letters; what a group is about is read from one of its letters.
 */
#include "sqlite/store/internal.h"

#include <stdlib.h>

#include "port/groups.h"

/* ---- reading */

void letters_bind(struct store *store, const struct letter_query *query, uint64_t after, size_t limit)
{
	sqlite3_stmt *row = store->statements[SQL_GET_DEAD];
	uint64_t from = query->id && query->id - 1 > after ? query->id - 1 : after;
	sqlite3_bind_int64(row, 1, (int64_t)from);
	sqlite3_bind_int64(row, 2, query->id ? (int64_t)query->id : INT64_MAX);
	if (query->reason)
		sqlite3_bind_text(row, 3, query->reason, -1, SQLITE_STATIC);
	if (query->group)
		sqlite3_bind_int64(row, 4, query->group);
	sqlite3_bind_int64(row, 5, limit && limit < INT64_MAX ? (int64_t)limit : -1);
}

struct letter letters_read(sqlite3_stmt *row)
{
	const char *reason = (const char *)sqlite3_column_text(row, 5);
	return (struct letter){
		.id = (uint64_t)sqlite3_column_int64(row, 0),
		.position = (uint64_t)sqlite3_column_int64(row, 1),
		.attempts = (unsigned)sqlite3_column_int64(row, 3),
		.at_unix = sqlite3_column_int64(row, 4),
		.reason = reason ? reason : "",
		.history = (const char *)sqlite3_column_text(row, 6),
		.evidence = {(char *)(uintptr_t)sqlite3_column_text(row, 7), (size_t)sqlite3_column_bytes(row, 7)},
		.cause = (uint32_t)sqlite3_column_int64(row, 8),
		.item = {(char *)(uintptr_t)sqlite3_column_blob(row, 9), (size_t)sqlite3_column_bytes(row, 9)},
	};
}

bool letters_take(struct store *store, struct letter *ret_letter, bool *ret_bad)
{
	sqlite3_stmt *row = store->statements[SQL_GET_DEAD];
	*ret_bad = sqlite3_column_int(row, 2);
	*ret_letter = letters_read(row);
	return checksum_letter(ret_letter, *ret_bad) == sqlite3_column_int64(row, 10);
}

int letters_next(struct store *store, struct letter *letter, bool *ret_bad, struct weir_error *err)
{
	uint64_t last = letter->id;
	int rc = sql_step(store, SQL_GET_DEAD);
	if (rc != SQLITE_ROW)
		return rc == SQLITE_DONE ? 0 : sql_fail(store, rc, err);
	bool matches = letters_take(store, letter, ret_bad);
	if (letter->id <= last)
		return sql_damaged(store, err, "dead letter %llu follows %llu", (unsigned long long)letter->id,
				   (unsigned long long)last);
	return matches ? 1
		       : sql_damaged(store, err, "the checksum of dead letter %llu does not match",
				     (unsigned long long)letter->id);
}

int store_letters(struct store *store, const struct letter_query *query, struct buf *out, uint64_t *ret_last_id,
		  struct weir_error *err)
{
	struct letter letter = {.id = query->after};
	int code = sql_check(store, err);
	bool bad;
	if (code)
		return code;
	letters_bind(store, query, query->after, query->limit);
	while (!out->failed && (code = letters_next(store, &letter, &bad, err)) > 0) {
		letter_write(&letter, out);
		buf_add_char(out, '\n');
	}
	sql_reset(store, SQL_GET_DEAD);
	if (out->failed)
		code = sql_fail(store, SQLITE_NOMEM, err);
	if (!code)
		*ret_last_id = letter.id;
	return code;
}

/* ---- groups */

static int count_all(struct store *store, struct letter_groups *groups, struct weir_error *err)
{
	struct letter letter = {0};
	bool bad;
	int code;
	letters_bind(store, &(struct letter_query){0}, 0, 0);
	while ((code = letters_next(store, &letter, &bad, err)) > 0)
		letter_groups_count(groups, &letter);
	sql_reset(store, SQL_GET_DEAD);
	if (!code && groups->letters != store->progress.letters)
		code = sql_damaged(store, err, "only %llu of %llu dead letters can be read",
				   (unsigned long long)groups->letters, (unsigned long long)store->progress.letters);
	return code;
}

static int write_group(struct store *store, const struct letter_group *group, struct buf *out, struct weir_error *err)
{
	struct letter letter = {0};
	bool bad;
	letters_bind(store, &(struct letter_query){.id = group->example}, 0, 1);
	int code = letters_next(store, &letter, &bad, err);
	if (!code)
		code = sql_fail(store, SQLITE_CORRUPT, err);
	if (code > 0)
		letter_group_write(group, &letter, out);
	sql_reset(store, SQL_GET_DEAD);
	return code < 0 ? code : 0;
}

static int write_groups(struct store *store, struct letter_groups *groups, struct buf *out, struct weir_error *err)
{
	int code = 0;
	letter_groups_sort(groups);
	for (size_t i = 0; i < groups->n && i < GROUPS_TOLD && !code; i++)
		code = write_group(store, &groups->slots[i], out, err);
	letter_groups_end(groups, out);
	return code;
}

int store_groups(struct store *store, struct buf *out, struct weir_error *err)
{
	int code = sql_check(store, err);
	if (code)
		return code;
	struct letter_groups *groups = calloc(1, sizeof *groups);
	if (!groups)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	code = count_all(store, groups, err);
	if (!code)
		code = write_groups(store, groups, out, err);
	free(groups);
	return !code && out->failed ? weir_error_set(err, WEIR_ENOMEM, "out of memory") : code;
}
