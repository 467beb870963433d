/* SPDX-License-Identifier: MIT */
/*
 * A batch is one statement, and so a transaction of its own:
 *
 *     it succeeds                       all rows are there
 *     the connection breaks             nobody knows; the engine brings the batch again, and key or ledger make that
 * harmless deadlock, serialization failure   again at once, a few times a row is to blame                 a transaction
 * in which the batch is halved, by savepoints, until each bad row is alone: its item is refused, all others are written
 *     the table is to be made or grows  a transaction, too, with the rows that need it
 *
 * While a batch waits for its answer, the next one is sent ahead, so that the server goes on with it at once.  The
 * answer counts if the batch before was written by its one statement; else both are written again in their order: by
 * key or ledger that does no harm.  Nothing is sent ahead into a transaction.
 *
 * Of two halves of what has failed, the second need not be tried as a whole when the first went well: so one bad row of
 * n costs 2 * log2(n) statements at most, and n bad rows 2 * n.
 */
#include "postgres/sink/internal.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

enum { CONFLICTS_MAX = 5 };

#define LOCK_WAIT       "SET LOCAL lock_timeout = '5s'"
#define STATEMENT_BYTES ((size_t)128 << 20) /* of outputs; the server takes 1 GiB */

struct postgres_batch {
	struct postgres_sink *sink;
	struct sink_item *items;
	size_t *good; /* places of items that may be written, in order; of those `n` from `first` on at a time */
	size_t first, n;
	size_t rows;          /* written */
	struct pg_call ahead; /* its statement was sent before its turn; */
	uint64_t troubles;    /* the sink's, then */
	struct pg_error why;
	weir_nsec deadline;
};

/* ---- parameters: arrays as the server itself writes them in binary, so that nothing need be escaped */

static void put_int(struct buf *out, uint32_t value)
{
	uint32_t big = htobe32(value);
	buf_add(out, &big, sizeof big);
}

static void begin_array(struct buf *out, enum pg_type of, size_t n)
{
	buf_clear(out);
	put_int(out, n ? 1 : 0); /* dimensions */
	put_int(out, 0);         /* no nulls in it */
	put_int(out, of);
	if (n) {
		put_int(out, (uint32_t)n);
		put_int(out, 1); /* its first place */
	}
}

static void put_element(struct buf *out, const void *bytes, size_t n)
{
	put_int(out, (uint32_t)n);
	buf_add(out, bytes, n);
}

static void put_id(struct buf *out, uint64_t id)
{
	uint64_t big = htobe64(id);
	put_element(out, &big, sizeof big);
}

static const struct item *item_at(const struct postgres_batch *batch, size_t at)
{
	return batch->items[batch->good[at]].item;
}

static size_t count_rows(const struct postgres_batch *batch, size_t first, size_t n)
{
	size_t rows = 0;
	for (size_t i = first; i < first + n; i++)
		rows += item_at(batch, i)->outputs.n;
	return rows;
}

/* The outputs of n items, and beside each the item's id, or its source. */
static void put_rows(const struct postgres_batch *batch, size_t first, size_t n)
{
	struct buf *outputs = &batch->sink->writer.parameters[0], *others = &batch->sink->writer.parameters[1];
	bool updates = batch->sink->config->rows.update;
	size_t rows = count_rows(batch, first, n);
	begin_array(outputs, PG_JSON, rows);
	begin_array(others, updates ? PG_JSON : PG_INT8, rows);
	for (size_t i = first; i < first + n; i++) {
		const struct item *item = item_at(batch, i);
		for (size_t k = 0; k < item->outputs.n; k++) {
			put_element(outputs, item->outputs.values[k].data, item->outputs.values[k].len);
			if (updates)
				put_element(others, item->source.data, item->source.len);
			else
				put_id(others, item->id);
		}
	}
}

/* ---- the statement */

static int make_values(const struct postgres_sink *sink, struct pg_value values[4])
{
	const struct buf *parameters = sink->writer.parameters;
	values[0] = (struct pg_value){parameters[0].data, parameters[0].len, true};
	values[1] = (struct pg_value){parameters[1].data, parameters[1].len, true};
	postgres_ledger_name(sink, &values[2]);
	return parameters[0].failed || parameters[1].failed ? WEIR_ENOMEM : 0;
}

/* Of an update: the places of outputs whose row is not there, from 1, one a row of the answer. */
static void refuse_missing(struct postgres_batch *batch, size_t first, const struct pg_result *result)
{
	size_t item = first, before = 0;
	for (int i = 0; i < pg_rows(result); i++) {
		size_t place = (size_t)pg_number(result, i, 0) - 1;
		while (place >= before + item_at(batch, item)->outputs.n)
			before += item_at(batch, item++)->outputs.n;
		struct sink_item *missing = &batch->items[batch->good[item]];
		missing->verdict = WEIR_EDATA;
		snprintf(missing->why, sizeof missing->why, "table %.60s has no row with the key of the item",
			 batch->sink->config->rows.table);
	}
}

static int send_batch(struct postgres_batch *batch, size_t first, size_t n, struct pg_call *ret_call)
{
	struct postgres_sink *sink = batch->sink;
	struct pg_value values[4];
	put_rows(batch, first, n);
	int code = make_values(sink, values);
	return code ? code : pg_send(sink->pg, &sink->writer.statement, values, ret_call, &batch->why, batch->deadline);
}

static int write_rows(struct postgres_batch *batch, size_t first, size_t n)
{
	struct postgres_sink *sink = batch->sink;
	struct pg_result *result = NULL;
	struct pg_call call = batch->ahead;
	batch->ahead = (struct pg_call){0};
	int code = call.request ? 0 : send_batch(batch, first, n, &call);
	if (!code)
		code = pg_receive(sink->pg, &call, &result, &batch->why, batch->deadline);
	if (!code && sink->config->rows.update)
		refuse_missing(batch, first, result);
	if (!code)
		batch->rows += count_rows(batch, first, n);
	pg_free(result);
	return code;
}

/* ---- transactions */

static int run(struct postgres_batch *batch, const char *sql)
{
	return pg_do(batch->sink->pg, sql, NULL, &batch->why, batch->deadline);
}

/* What it cannot end on the server ends with the connection.  The reason stays. */
static void roll_back(struct postgres_sink *sink, int code)
{
	struct pg_error why;
	if (code == WEIR_ECANCELED || pg_do(sink->pg, "ROLLBACK", NULL, &why, WEIR_FOREVER))
		pg_disconnect(sink->pg);
}

static bool blames_rows(const struct pg_error *why)
{
	return why->fault == PG_ROW || why->fault == PG_ODD;
}

/* An internal error or a lack of memory is the row's if the server is well. */
static int refuse_item(struct postgres_batch *batch, size_t at)
{
	struct sink_item *item = &batch->items[batch->good[at]];
	int code = batch->why.fault == PG_ODD ? run(batch, "SELECT 1") : 0;
	if (code)
		return code;
	item->verdict = WEIR_EDATA;
	postgres_row_blame(&batch->why, &item->item->outputs, item->why);
	return 0;
}

/* Behind a savepoint.  *ret_bad: a row is to blame, and nothing of it was written. */
static int try_rows(struct postgres_batch *batch, size_t first, size_t n, bool *ret_bad)
{
	struct pg_error why;
	int code = run(batch, "SAVEPOINT weir");
	if (code)
		return code;
	code = write_rows(batch, first, n);
	*ret_bad = code && blames_rows(&batch->why);
	if (!code)
		return run(batch, "RELEASE SAVEPOINT weir");
	if (!*ret_bad)
		return code;
	why = batch->why;
	code = run(batch, "ROLLBACK TO SAVEPOINT weir");
	if (!code)
		batch->why = why;
	return code;
}

/* bad: a row of them is known to be to blame; afterwards whether one was. */
static int write_halves(struct postgres_batch *batch, size_t first, size_t n, bool *bad)
{
	bool is_bad = *bad;
	int code = is_bad && n > 1 ? 0 : try_rows(batch, first, n, &is_bad);
	*bad = is_bad;
	if (code || !is_bad)
		return code;
	if (n == 1)
		return refuse_item(batch, first);
	bool left = false, right;
	code = write_halves(batch, first, n / 2, &left);
	right = !left;
	return code ? code : write_halves(batch, first + n / 2, n - n / 2, &right);
}

/* The table that the rows need. */
static int fit_table(struct postgres_batch *batch, struct weir_error *err)
{
	struct postgres_sink *sink = batch->sink;
	sink->err = &batch->why;
	int code = sql_table_grow(&sink->table, err);
	sink->err = NULL;
	return code == 1 ? postgres_writer_prepare(sink) : code;
}

static bool has_columns(const struct sql_table *table)
{
	return table->exists && table->n;
}

static int refuse_all(struct postgres_batch *batch)
{
	for (size_t i = batch->first; i < batch->first + batch->n; i++) {
		struct sink_item *item = &batch->items[batch->good[i]];
		item->verdict = WEIR_EDATA;
		snprintf(item->why, sizeof item->why, "the output has no fields to make columns of");
	}
	return 0;
}

/* Constraints that wait for the end would blame nobody. */
static int write_in_transaction(struct postgres_batch *batch, bool bad, struct weir_error *err)
{
	struct postgres_sink *sink = batch->sink;
	int code = run(batch, "BEGIN");
	if (!code && !bad)
		code = fit_table(batch, err);
	if (!code)
		code = run(batch, "SET CONSTRAINTS ALL IMMEDIATE");
	if (!code)
		code = has_columns(&sink->table) ? write_halves(batch, batch->first, batch->n, &bad)
						 : refuse_all(batch);
	if (!code)
		code = run(batch, "COMMIT");
	else if (batch->why.fault != PG_AWAY)
		roll_back(sink, code);
	return code;
}

/* ---- batches */

static bool grows(const struct postgres_sink *sink)
{
	return sink->table.pending || sink->table.stale || !has_columns(&sink->table);
}

static int write_once(struct postgres_batch *batch, struct weir_error *err)
{
	struct postgres_sink *sink = batch->sink;
	bool plain = !grows(sink);
	sink->plain = plain;
	int code = plain ? write_rows(batch, batch->first, batch->n) : write_in_transaction(batch, false, err);
	sink->plain = false;
	sink->troubles += code || !plain;
	if (plain && code && blames_rows(&batch->why)) {
		batch->rows = 0;
		code = write_in_transaction(batch, true, err);
	}
	sql_table_end(&sink->table, !code, code ? 0 : batch->rows);
	return code;
}

static void forget_verdicts(struct postgres_batch *batch)
{
	for (size_t i = batch->first; i < batch->first + batch->n; i++)
		batch->items[batch->good[i]].verdict = 0;
}

static int write_again(struct postgres_batch *batch, struct weir_error *err)
{
	int code, conflicts = 0;
	for (;;) {
		*err = (struct weir_error){0};
		batch->why = (struct pg_error){0};
		batch->rows = 0;
		forget_verdicts(batch);
		code = write_once(batch, err);
		bool again = code == WEIR_EAGAIN || (code && batch->why.fault == PG_CONFLICT);
		if (!again || conflicts++ == CONFLICTS_MAX)
			break;
		weir_nsec most = conflicts * 20 * WEIR_MSEC;
		if (weir_sleep((weir_nsec)weir_random_below(&batch->sink->random, (uint64_t)most)))
			return WEIR_ECANCELED;
	}
	return code && !err->code ? postgres_sink_fail(batch->sink, &batch->why, code, err) : code;
}

/* What cannot be a row is refused here; of the others the table learns which fields they have. */
static int check_item(struct postgres_sink *sink, struct sink_item *item)
{
	const struct value_list *outputs = &item->item->outputs;
	const struct json *json;
	bool looks = sql_table_looks(&sink->table);
	int code = 0;
	for (size_t i = 0; i < outputs->n && !code; i++)
		code = postgres_row_check(&sink->config->rows, &outputs->values[i], &item->item->source, &json,
					  item->why);
	for (size_t i = 0; i < outputs->n && !code && looks; i++) {
		code = value_json(&outputs->values[i], &json, NULL);
		code = code ? code : sql_table_look(&sink->table, json);
	}
	for (size_t i = 0; i < outputs->n; i++)
		value_forget(&outputs->values[i]);
	value_forget(&item->item->source);
	item->verdict = code;
	return code == WEIR_EDATA ? 0 : code;
}

/* So many items that a statement takes their outputs. */
static size_t fit_statement(const struct postgres_batch *batch, size_t most)
{
	size_t n = 0, bytes = 0;
	for (; n < most; n++) {
		const struct item *item = item_at(batch, batch->first + n);
		for (size_t k = 0; k < item->outputs.n; k++)
			bytes += item->outputs.values[k].len;
		if (n && bytes > STATEMENT_BYTES)
			break;
	}
	return n;
}

/* Of items that may be written, all that there are. */
static int check_items(struct postgres_batch *batch, size_t n, size_t *ret_good)
{
	int code = 0;
	*ret_good = 0;
	for (size_t i = 0; i < n && !code; i++) {
		code = check_item(batch->sink, &batch->items[i]);
		if (!batch->items[i].verdict)
			batch->good[(*ret_good)++] = i;
	}
	return code;
}

/* Without suspending, so in the order of turns.  What cannot be sent is written in its turn. */
static void send_ahead(struct postgres_batch *batch, size_t good)
{
	struct postgres_sink *sink = batch->sink;
	bool fits = good && fit_statement(batch, good) == good;
	if (!fits || grows(sink) || !pg_is_connected(sink->pg))
		return;
	batch->troubles = sink->troubles;
	if (send_batch(batch, 0, good, &batch->ahead))
		batch->ahead = (struct pg_call){0};
}

static void forget_ahead(struct postgres_batch *batch)
{
	if (batch->ahead.request)
		pg_receive(batch->sink->pg, &batch->ahead, NULL, &batch->why, WEIR_TRY);
}

static int write_in_turn(struct postgres_batch *batch, size_t good, struct weir_error *err)
{
	struct postgres_sink *sink = batch->sink;
	int code = 0;
	if (batch->troubles != sink->troubles || grows(sink))
		forget_ahead(batch);
	for (; batch->first < good && !code; batch->first += batch->n) {
		batch->n = fit_statement(batch, good - batch->first);
		code = write_again(batch, err);
	}
	if (!code && postgres_sink_has_ledger(sink))
		postgres_ledger_tend(sink, batch->deadline);
	return code;
}

/* Items are looked at ahead of their turn, too, but never while a transaction changes the table that they are looked at
 * for. */
int postgres_batch_write(struct postgres_sink *sink, struct sink_item *items, size_t n, struct weir_error *err,
			 weir_nsec deadline)
{
	struct postgres_batch batch = {
		.sink = sink, .items = items, .deadline = deadline, .good = calloc(n + 1, sizeof(size_t))};
	struct weir_error why = {0};
	bool early = sink->plain;
	size_t good = 0;
	if (!batch.good)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = early ? check_items(&batch, n, &good) : 0;
	if (early && !code)
		send_ahead(&batch, good);
	if (!code)
		code = weir_sem_acquire(sink->turn, 1, deadline);
	if (!code) {
		code = early ? 0 : check_items(&batch, n, &good);
		code = code ? code : write_in_turn(&batch, good, &why);
		weir_sem_release(sink->turn, 1);
	}
	forget_ahead(&batch);
	free(batch.good);
	return code ? weir_error_set(err, code, "%s", why.code ? why.text : weir_strerror(code)) : 0;
}

/* ---- before the first */

int postgres_batch_ask(struct postgres_sink *sink, const struct postgres_question *question,
		       struct pg_result **ret_result, struct pg_error *err)
{
	struct pg_result *result = NULL;
	int code = pg_do(sink->pg, "BEGIN", NULL, err, WEIR_FOREVER);
	if (!code)
		code = pg_do(sink->pg, LOCK_WAIT, NULL, err, WEIR_FOREVER);
	if (!code)
		code = pg_run(sink->pg, question->statement, question->values, &result, err, WEIR_FOREVER);
	if (!code && question->next && pg_rows(result))
		code = pg_do(sink->pg, question->next, NULL, err, WEIR_FOREVER);
	if (!code && question->keep)
		code = pg_do(sink->pg, "COMMIT", NULL, err, WEIR_FOREVER);
	else if (!code || err->fault != PG_AWAY)
		roll_back(sink, code);
	if (code || !ret_result)
		pg_free(result);
	else
		*ret_result = result;
	return code;
}

int postgres_batch_rehearse(struct postgres_sink *sink, struct weir_error *err)
{
	struct postgres_batch batch = {.sink = sink};
	struct pg_error why = {0};
	struct pg_value values[4];
	put_rows(&batch, 0, 0);
	int code = make_values(sink, values);
	if (!code)
		code = postgres_batch_ask(
			sink, &(struct postgres_question){.statement = &sink->writer.statement, .values = values}, NULL,
			&why);
	return code ? postgres_sink_fail(sink, &why, code, err) : 0;
}
