/* SPDX-License-Identifier: MIT */
/*
 * One statement writes a batch, in one round trip.  An output goes to the server as the JSON that it is, and the
 * server's json_populate_record makes a row of the table's own types of it.  $1 is an array of the outputs.
 *
 *     with a key   an upsert in the order of the key, so that two writers lock in one order; of rows with one key in
 *                  a batch the last counts
 *     without      $2: the items' ids, $3: the run, $4: the table.  They are claimed in the ledger by the same
 *                  statement, and only rows of those that nobody has claimed before are written
 *     update       $2: what the items were in the source.  Answers with the places of outputs whose row is not there
 *
 * Nothing of an item is ever in the text.
 */
#include "postgres/sink/internal.h"

static void put_column(struct buf *sql, const char *of, const char *name)
{
	buf_add_str(sql, of);
	sql_put_name(sql, name);
}

/* The columns to be filled, divided by commas. */
static void put_columns(const struct sql_table *table, struct buf *sql, const char *of)
{
	for (size_t i = 0; i < table->n; i++) {
		buf_add_str(sql, i ? ", " : "");
		put_column(sql, of, table->columns[i].name);
	}
}

static void put_key(const struct sql_table *table, struct buf *sql, const char *of)
{
	for (size_t i = 0; i < table->config->key.n; i++) {
		buf_add_str(sql, i ? ", " : "");
		put_column(sql, of, table->config->key.values[i]);
	}
}

static void put_insert(const struct sql_table *table, struct buf *sql)
{
	buf_addf(sql, "INSERT INTO %s (", table->name);
	put_columns(table, sql, "");
	buf_add_str(sql, ") SELECT ");
}

static void put_conflict(const struct sql_table *table, struct buf *sql)
{
	size_t set = 0;
	buf_add_str(sql, " ON CONFLICT (");
	put_key(table, sql, "");
	buf_add_str(sql, ") DO");
	for (size_t i = 0; i < table->n; i++) {
		if (sql_table_is_key(table, table->columns[i].name))
			continue;
		buf_add_str(sql, set++ ? ", " : " UPDATE SET ");
		put_column(sql, "", table->columns[i].name);
		put_column(sql, " = excluded.", table->columns[i].name);
	}
	if (!set)
		buf_add_str(sql, " NOTHING");
}

static void put_upsert(const struct sql_table *table, struct buf *sql)
{
	put_insert(table, sql);
	buf_add_str(sql, "DISTINCT ON (");
	put_key(table, sql, "r.");
	buf_add_str(sql, ") ");
	put_columns(table, sql, "r.");
	buf_addf(sql,
		 " FROM unnest($1::json[]) WITH ORDINALITY AS x(j, o), json_populate_record(NULL::%s, x.j) AS r"
		 " ORDER BY ",
		 table->name);
	put_key(table, sql, "r.");
	buf_add_str(sql, ", x.o DESC");
	put_conflict(table, sql);
}

/* ledger: NULL while there is none, and no row to be written. */
static void put_claimed(const struct sql_table *table, const char *ledger, struct buf *sql)
{
	if (ledger)
		buf_addf(sql,
			 "WITH claim AS (INSERT INTO %s (run, \"table\", item) SELECT $3::uuid, $4::text, u.i"
			 " FROM unnest($2::int8[]) AS u(i) ORDER BY u.i ON CONFLICT DO NOTHING RETURNING item) ",
			 ledger);
	put_insert(table, sql);
	put_columns(table, sql, "r.");
	buf_addf(sql,
		 " FROM unnest($1::json[], $2::int8[]) WITH ORDINALITY AS x(j, item, o)%s,"
		 " json_populate_record(NULL::%s, x.j) AS r ORDER BY x.o",
		 ledger ? " JOIN claim USING (item)" : "", table->name);
}

/* The columns of the key, as they are called in an update: k1, k2 ... */
static void put_numbered(const struct sql_table *table, struct buf *sql, const char *of)
{
	for (size_t i = 0; i < table->config->key.n; i++)
		buf_addf(sql, "%s%sk%zu", i ? ", " : "", of, i + 1);
}

static void put_set(const struct sql_table *table, struct buf *sql, const char *of)
{
	size_t set = 0;
	for (size_t i = 0; i < table->n; i++)
		if (!sql_table_is_key(table, table->columns[i].name)) {
			buf_add_str(sql, set++ ? ", " : "");
			put_column(sql, of, table->columns[i].name);
		}
}

/* The row itself is what the output's fields are put over: what an output lacks stays as it is. */
static void put_update(const struct sql_table *table, struct buf *sql)
{
	buf_add_str(sql, "WITH x AS (SELECT u.o, u.j");
	for (size_t i = 0; i < table->config->key.n; i++) {
		put_column(sql, ", k.", table->config->key.values[i]);
		buf_addf(sql, " AS k%zu", i + 1);
	}
	buf_addf(sql,
		 " FROM unnest($1::json[], $2::json[]) WITH ORDINALITY AS u(j, s, o),"
		 " json_populate_record(NULL::%s, u.s) AS k), last AS (SELECT DISTINCT ON (",
		 table->name);
	put_numbered(table, sql, "x.");
	buf_add_str(sql, ") x.* FROM x ORDER BY ");
	put_numbered(table, sql, "x.");
	buf_addf(sql, ", x.o DESC), done AS (UPDATE %s AS t SET (", table->name);
	put_set(table, sql, "");
	buf_add_str(sql, ") = (SELECT ");
	put_set(table, sql, "r.");
	buf_add_str(sql, " FROM json_populate_record(t, last.j) AS r) FROM last WHERE ");
	for (size_t i = 0; i < table->config->key.n; i++) {
		put_column(sql, i ? " AND t." : "t.", table->config->key.values[i]);
		buf_addf(sql, " = last.k%zu", i + 1);
	}
	buf_add_str(sql, " RETURNING last.o) SELECT x.o FROM x JOIN last ON ");
	for (size_t i = 0; i < table->config->key.n; i++)
		buf_addf(sql, "%sx.k%zu IS NOT DISTINCT FROM last.k%zu", i ? " AND " : "", i + 1, i + 1);
	buf_add_str(sql, " WHERE last.o NOT IN (SELECT done.o FROM done)");
}

int postgres_writer_prepare(struct postgres_sink *sink)
{
	struct postgres_writer *writer = &sink->writer;
	buf_clear(&writer->sql);
	writer->statement = (struct pg_statement){.parameters = 1, .types = {PG_JSONS}};
	if (sink->config->rows.update) {
		writer->statement.parameters = 2;
		writer->statement.types[1] = PG_JSONS;
		put_update(&sink->table, &writer->sql);
	} else if (postgres_sink_has_ledger(sink)) {
		writer->statement.parameters = 4;
		writer->statement.types[1] = PG_INT8S;
		writer->statement.types[2] = PG_UUID;
		writer->statement.types[3] = PG_TEXT;
		put_claimed(&sink->table, sink->ledger.exists ? sink->ledger.table : NULL, &writer->sql);
	} else {
		put_upsert(&sink->table, &writer->sql);
	}
	writer->statement.sql = writer->sql.data;
	return writer->sql.failed ? WEIR_ENOMEM : 0;
}
