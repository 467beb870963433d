/* SPDX-License-Identifier: MIT */
/*
 * A row that cannot be (a constraint, a type, no key) spoils only its item:
 *   - a statement that fails undoes itself, which is all there is to undo of an item with one output;
 *   - an item with several has a savepoint, and goes back to it;
 *   - a constraint or trigger that rolls the whole transaction back: the batch starts again without that item.
 */
#include "sqlite/sink/batch.h"

#include <stdlib.h>

#include "sqlite/sink/row.h"

int sqlite_sink_refuse(const struct sqlite_sink *sink, struct weir_error *err, int code)
{
	return weir_error_set(err, code, "%s: %s", sink->config->path,
			      code == WEIR_ENOMEM ? "out of memory" : sqlite_db_why(sink->db));
}

/* ---- items: 0; WEIR_EDATA with item->why; or another code, and the transaction cannot be */

static int write_outputs(struct sqlite_sink *sink, struct sink_item *item)
{
	const struct value_list *outputs = &item->item->outputs;
	bool marked = outputs->n > 1;
	int code = marked ? sqlite_db_do(sink->db, SQLITE_DB_MARK) : 0;
	for (size_t i = 0; i < outputs->n && !code; i++)
		code = sqlite_row_write(sink->db, &outputs->values[i], &item->item->source, item->why);
	if (!marked || (code && code != WEIR_EDATA) || !sqlite_db_in_transaction(sink->db))
		return code;
	int end = code ? sqlite_db_do(sink->db, SQLITE_DB_UNDO) : 0;
	if (!end)
		end = sqlite_db_do(sink->db, SQLITE_DB_KEEP);
	return end ? end : code;
}

/* Of an item that was claimed before the rows are there. */
static int claim_and_write(struct sqlite_sink *sink, struct sink_item *item)
{
	bool is_new;
	int code = sqlite_db_claim(sink->db, item->item->id, &is_new);
	if (code || !is_new)
		return code;
	code = write_outputs(sink, item);
	if (code != WEIR_EDATA || !sqlite_db_in_transaction(sink->db))
		return code;
	int undone = sqlite_db_unclaim(sink->db, item->item->id);
	return undone ? undone : code;
}

static int write_item(struct sqlite_sink *sink, struct sink_item *item)
{
	return sink->opts.claims ? claim_and_write(sink, item) : write_outputs(sink, item);
}

/* ---- batches */

/* What the table may become is decided before the first output of an item, so that none is undone with a column. */
static int look_at_item(struct sqlite_sink *sink, const struct item *item, bool forget)
{
	int code = 0;
	for (size_t i = 0; i < item->outputs.n && !code; i++) {
		code = sqlite_row_look(sink->db, &item->outputs.values[i]);
		if (forget)
			value_forget(&item->outputs.values[i]);
	}
	return code;
}

static int fit_table(struct sqlite_sink *sink, const struct item *item, struct weir_error *err)
{
	int code = sql_table_looks(&sink->table) ? look_at_item(sink, item, false) : 0;
	return code ? code : sqlite_row_fit(sink->db, err);
}

/* A new table is made of the first outputs of all items. */
static int look_at_first(struct sqlite_sink *sink, const struct sink_item *items, size_t n)
{
	size_t rows = 0;
	int code = 0;
	for (size_t i = 0; i < n && rows < SQL_FIRST_ROWS && !code && !sink->table.exists; i++) {
		code = look_at_item(sink, items[i].item, true);
		rows += items[i].item->outputs.n;
	}
	return code;
}

/* WEIR_EDATA when an item has rolled back the whole transaction: it has its verdict, all others are to be written
 * again. */
static int write_items(struct sqlite_sink *sink, struct sink_item *items, size_t n, struct weir_error *err)
{
	int code = look_at_first(sink, items, n);
	for (size_t i = 0; i < n && !code; i++) {
		if (items[i].verdict)
			continue;
		code = fit_table(sink, items[i].item, err);
		if (!code)
			code = write_item(sink, &items[i]);
		if (code && code != WEIR_EDATA)
			return code;
		items[i].verdict = code;
		if (code && !sqlite_db_in_transaction(sink->db))
			return WEIR_EDATA;
		code = 0;
	}
	return code;
}

static size_t count_rows(const struct sink_item *items, size_t n)
{
	size_t rows = 0;
	for (size_t i = 0; i < n; i++)
		rows += items[i].verdict ? 0 : items[i].item->outputs.n;
	return rows;
}

static size_t count_good(const struct sink_item *items, size_t n)
{
	size_t good = 0;
	for (size_t i = 0; i < n; i++)
		good += !items[i].verdict;
	return good;
}

/* The engine acks a batch before it writes the next, so this note takes the place of the last one.  A batch of which
 * nothing was written is never acked, and has no number. */
static int note_batch(struct sqlite_sink *sink, const struct sink_item *items, size_t n, struct ledger_batch *batch)
{
	size_t written = 0;
	if (!sink->run || sink->opts.claims || !count_good(items, n))
		return 0;
	uint64_t *ids = malloc(n * sizeof *ids);
	if (!ids)
		return WEIR_ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (!items[i].verdict)
			ids[written++] = items[i].item->id;
	*batch = (struct ledger_batch){
		.number = sink->last.number + 1, .process = sink->process, .before = sink->last.process};
	int code = sqlite_db_note(sink->db, batch, ids, written);
	free(ids);
	return code;
}

static int fail_batch(struct sqlite_sink *sink, int code, struct weir_error *why, struct weir_error *err)
{
	/* Only a deferred constraint fails at the commit, and nobody can tell whose row it was. */
	if (code == WEIR_EDATA)
		code = WEIR_EIO;
	if (!why->code)
		sqlite_sink_refuse(sink, why, code);
	if (sqlite_db_in_transaction(sink->db))
		sqlite_db_do(sink->db, SQLITE_DB_ROLLBACK);
	sql_table_end(&sink->table, false, 0);
	if (code == WEIR_EIO)
		sink->failed = *why;
	return weir_error_set(err, code, "%s", why->text);
}

int sqlite_batch_write(struct sqlite_sink *sink, struct sink_item *items, size_t n, struct weir_error *err)
{
	struct ledger_batch batch = sink->last;
	struct weir_error why = {0};
	int code;
	for (size_t i = 0; i < n; i++)
		items[i].verdict = 0;
	do {
		sql_table_end(&sink->table, false, 0);
		code = sqlite_db_do(sink->db, SQLITE_DB_BEGIN);
		if (!code)
			code = write_items(sink, items, n, &why);
	} while (code == WEIR_EDATA);
	if (!code)
		code = note_batch(sink, items, n, &batch);
	if (!code)
		code = sqlite_db_do(sink->db, SQLITE_DB_COMMIT);
	if (code)
		return fail_batch(sink, code, &why, err);
	sql_table_end(&sink->table, true, count_rows(items, n));
	sink->last = batch;
	return 0;
}
