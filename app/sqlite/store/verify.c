/* SPDX-License-Identifier: MIT */
/*
 * What must be so in every store: SQLite's own structure, the checksums, and how the tables belong together.
 * To add a rule: a query in `rules` that gives one text for each row that breaks it.
 */
#include "sqlite/store/internal.h"

#include <string.h>

static const char *const rules[] = {
	"PRAGMA integrity_check(100)",
	"SELECT 'ack: chunk ' || chunk || ' is missing' FROM ack WHERE chunk NOT IN (SELECT id FROM chunk)",
	"SELECT 'chunk ' || id || ' has an id from the future' FROM chunk"
	" WHERE id >= (SELECT next_chunk FROM progress)",
	"SELECT 'retry: the chunk of item ' || item || ' is missing' FROM retry"
	" WHERE item / 256 NOT IN (SELECT id FROM chunk)",
	"SELECT 'retry: the history of item ' || item || ' is not a JSON array' FROM retry"
	" WHERE history IS NOT NULL AND NOT (json_valid(history) AND json_type(history) = 'array')",
	"SELECT 'dead: the history of item ' || id || ' is not a JSON array' FROM dead"
	" WHERE history IS NOT NULL AND NOT (json_valid(history) AND json_type(history) = 'array')",
	"SELECT 'dead: item ' || id || ' is not JSON' FROM dead WHERE NOT json_valid(CAST(item AS TEXT))",
	"SELECT 'dead: the evidence of item ' || id || ' is not a JSON object' FROM dead"
	" WHERE evidence IS NOT NULL AND NOT (json_valid(evidence) AND json_type(evidence) = 'object')",
	"SELECT 'dead: ' || (SELECT count(*) FROM dead) || ' letters, but there should be ' || letters FROM progress"
	" WHERE letters <> (SELECT count(*) FROM dead)",
	"SELECT 'dead: ' || letters || ' letters, but only ' || dead || ' items are accounted as dead' FROM progress"
	" WHERE dead < letters",
	"SELECT 'progress has ' || count(*) || ' rows' FROM progress HAVING count(*) <> 1",
};

static void add_finding(struct buf *findings, const char *text)
{
	buf_add_str(findings, text);
	buf_add_char(findings, '\n');
}

static void check_rule(struct store *store, const char *query, struct buf *findings)
{
	sqlite3_stmt *row = NULL;
	int rc = sqlite3_prepare_v2(store->db, query, -1, &row, NULL);
	while (!rc && (rc = sqlite3_step(row)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(row, 0);
		if (text && strcmp(text, "ok") != 0)
			add_finding(findings, text);
		rc = SQLITE_OK;
	}
	if (rc != SQLITE_DONE)
		add_finding(findings, sqlite3_errmsg(store->db));
	sqlite3_finalize(row);
}

static int check_chunk(struct store *store, const struct index_chunk *chunk, struct buf *findings)
{
	struct item *items[STORE_CHUNK_ITEMS];
	struct weir_error why = {0};
	int n = load_chunk(store, chunk->id, items, &why);
	for (int i = 0; i < n; i++)
		item_free(items[i]);
	if (n == WEIR_ENOMEM)
		return n;
	if (n < 0)
		add_finding(findings, why.text);
	unsigned long long first = chunk->id * CHUNK_ITEMS;
	for (unsigned i = 0; i < chunk->n; i++)
		if (chunk_bit(&chunk->settled, i) && chunk_bit(&chunk->retried, i))
			buf_addf(findings, "retry: item %llu is settled\n", first + i);
	for (unsigned i = chunk->n; i < CHUNK_ITEMS; i++)
		if (chunk_bit(&chunk->settled, i) || chunk_bit(&chunk->retried, i)) {
			buf_addf(findings, "chunk %llu has settled or retried items that it does not have\n",
				 (unsigned long long)chunk->id);
			break;
		}
	return 0;
}

static void check_progress(struct store *store, struct buf *findings)
{
	bool matches = true;
	if (!progress_read(store, &matches) && !matches)
		add_finding(findings, "progress: its checksum does not match");
}

/* Continues behind a damaged one, to find them all; but not where ids go back, which may never end. */
static void check_letters(struct store *store, struct buf *findings)
{
	const struct letter_query all = {0};
	uint64_t last = 0;
	int rc;
	letters_bind(store, &all, 0, 0);
	while ((rc = sql_step(store, SQL_GET_DEAD)) == SQLITE_ROW) {
		struct letter letter;
		bool bad;
		if (!letters_take(store, &letter, &bad))
			buf_addf(findings, "dead: the checksum of letter %llu does not match\n",
				 (unsigned long long)letter.id);
		if (letter.id <= last)
			break;
		last = letter.id;
	}
	if (rc == SQLITE_ROW)
		buf_addf(findings, "dead: the letters after %llu are not in order\n", (unsigned long long)last);
	else if (rc != SQLITE_DONE)
		add_finding(findings, sqlite3_errmsg(store->db));
	sql_reset(store, SQL_GET_DEAD);
}

static void check_accounts(const struct store *store, struct buf *findings)
{
	const struct broker_accounts *is = &store->progress.accounts;
	uint64_t left = is->read - is->succeeded - is->dropped - is->dead;
	if (left != store->index.unfinished)
		buf_addf(findings,
			 "accounts: %llu read, %llu succeeded, %llu dropped, %llu dead leave %lld, but %llu are "
			 "unfinished\n",
			 (unsigned long long)is->read, (unsigned long long)is->succeeded,
			 (unsigned long long)is->dropped, (unsigned long long)is->dead, (long long)left,
			 (unsigned long long)store->index.unfinished);
}

int store_verify(struct store *store, struct buf *findings, struct weir_error *err)
{
	size_t before = findings->len;
	int code = sql_check(store, err);
	if (code)
		return code;
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		check_rule(store, rules[i], findings);
	for (size_t i = 0; i < store->index.n && !code; i++)
		if (store->index.chunks[i].left)
			code = check_chunk(store, &store->index.chunks[i], findings);
	check_progress(store, findings);
	check_letters(store, findings);
	check_accounts(store, findings);
	if (code || findings->failed)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (findings->len == before)
		return 0;
	return weir_error_set(err, WEIR_EDATA, "%s is damaged", store->path);
}
