/* SPDX-License-Identifier: MIT */
/*
 * The table of the sink, for app/sql.  Values are exact in each type, so there are few: numeric keeps every digit of a
 * number that is not whole, jsonb takes arrays and objects.
 */
#include "postgres/sink/internal.h"

#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

static int ask(struct postgres_sink *sink, const char *sql, const char *a, const char *b, struct pg_result **ret_result,
	       struct pg_error *why)
{
	struct pg_statement statement = {.sql = sql, .parameters = b ? 2 : 1, .once = true};
	const struct pg_value values[] = {{a, 0, false}, {b, 0, false}};
	return pg_run(sink->pg, &statement, values, ret_result, why, WEIR_FOREVER);
}

static bool is_true(const struct pg_result *result, int column)
{
	const char *text = pg_text(result, 0, column);
	return text && *text == 't';
}

/* ---- the schema */

static int refuse_schema(const struct postgres_sink *sink, const struct pg_result *result, struct weir_error *err)
{
	const char *schema = pg_text(result, 0, 0);
	if (!schema)
		return weir_error_set(
			err, WEIR_EINVAL,
			"%s: no schema in the search path exists; create one (CREATE SCHEMA public), or name "
			"one with `schema`",
			pg_place(sink->pg));
	if (!pg_text(result, 0, 1))
		return weir_error_set(
			err, WEIR_EINVAL,
			"%s: there is no schema %s; create it (CREATE SCHEMA \"%s\"), or name another one",
			pg_place(sink->pg), schema, schema);
	return weir_error_set(err, WEIR_EINVAL,
			      "%s: no privilege for schema %s; grant it (GRANT USAGE ON SCHEMA \"%s\" TO \"%s\")",
			      pg_place(sink->pg), schema, schema, pg_text(result, 0, 3));
}

int postgres_columns_find_schema(struct postgres_sink *sink, struct weir_error *err)
{
	static const char sql[] =
		"SELECT s.name, n.oid, has_schema_privilege(n.oid, 'USAGE'), current_user FROM (SELECT coalesce($1,"
		" (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
		" WHERE c.oid = to_regclass(quote_ident($2))), current_schema()) AS name) s"
		" LEFT JOIN pg_namespace n ON n.nspname = s.name";
	struct pg_result *result = NULL;
	struct pg_error why;
	int code = ask(sink, sql, sink->config->schema, sink->config->rows.table, &result, &why);
	if (code)
		return postgres_sink_fail(sink, &why, code, err);
	if (!is_true(result, 2))
		code = refuse_schema(sink, result, err);
	else if (!(sink->schema = strdup(pg_text(result, 0, 0))))
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	pg_free(result);
	return code;
}

/* ---- what there is */

static int add_columns(struct sql_table *table, const struct pg_result *rows)
{
	int code = 0;
	for (int i = 0; i < pg_rows(rows) && !code; i++)
		code = sql_table_add(table, &(struct sql_column){
						    .name = (char *)(uintptr_t)pg_text(rows, i, 0),
						    .type = (char *)(uintptr_t)pg_text(rows, i, 1),
						    .given = *pg_text(rows, i, 2) == 't',
						    .generated = *pg_text(rows, i, 3) == 't',
					    });
	return code;
}

/* As far as it matters whether the table still gets columns. */
static int count_rows(struct postgres_sink *sink, struct sql_table *table, struct pg_error *why)
{
	struct buf sql = {0};
	struct pg_result *result = NULL;
	buf_addf(&sql, "SELECT count(*) FROM (SELECT 1 FROM %s LIMIT %zu) r", table->name, SQL_FIRST_ROWS);
	int code = sql.failed ? WEIR_ENOMEM : pg_do(sink->pg, sql.data, &result, why, WEIR_FOREVER);
	if (!code)
		table->rows = (size_t)pg_number(result, 0, 0);
	pg_free(result);
	buf_fini(&sql);
	return code;
}

static int describe_table(struct postgres_sink *sink, struct sql_table *table, struct pg_error *why)
{
	static const char of_table[] =
		"SELECT c.oid, obj_description(c.oid, 'pg_class') FROM pg_class c JOIN pg_namespace n"
		" ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', "
		"'f')";
	static const char of_columns[] =
		"SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.atthasdef OR a.attidentity <> '',"
		" a.attgenerated <> '' OR a.attidentity = 'a' FROM pg_attribute a"
		" WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
	struct pg_result *result = NULL, *columns = NULL;
	int code = ask(sink, of_table, sink->schema, sink->config->rows.table, &result, why);
	table->exists = !code && pg_rows(result);
	sink->oid = table->exists ? pg_number(result, 0, 0) : 0;
	if (table->exists) {
		table->marked = pg_text(result, 0, 1) && strcmp(pg_text(result, 0, 1), SQL_MARK) == 0;
		code = ask(sink, of_columns, pg_text(result, 0, 0), NULL, &columns, why);
	}
	if (columns)
		code = add_columns(table, columns);
	if (!code && table->marked)
		code = count_rows(sink, table, why);
	pg_free(columns);
	pg_free(result);
	return code;
}

static int describe(void *db, struct sql_table *table, struct weir_error *err)
{
	struct postgres_sink *sink = db;
	struct pg_error why = {0};
	int code = describe_table(sink, table, &why);
	if (code && sink->err)
		*sink->err = why;
	return code ? postgres_sink_fail(sink, &why, code, err) : 0;
}

/* Two processes that make the same thing meet in a catalog: the second finds what the first has made. */
static bool was_faster(const struct pg_error *why)
{
	static const char *const states[] = {"23505", "42P07", "42701", "42710"};
	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		if (strcmp(why->state, states[i]) == 0)
			return true;
	return false;
}

static int execute(void *db, const char *sql, struct weir_error *err)
{
	struct postgres_sink *sink = db;
	struct pg_error why = {0};
	int code = pg_do(sink->pg, sql, NULL, &why, WEIR_FOREVER);
	if (code && sink->err)
		*sink->err = why;
	if (code && was_faster(&why))
		return weir_error_set(err, WEIR_EAGAIN, "another process changes table %s", sink->config->rows.table);
	return code ? postgres_sink_fail(sink, &why, code, err) : 0;
}

const struct sql_ops postgres_columns_ops = {
	.compare = strcmp,
	.types = {[SQL_NOTHING] = "text",
		  [SQL_BOOL] = "boolean",
		  [SQL_INT] = "bigint",
		  [SQL_REAL] = "numeric",
		  [SQL_DIGITS] = "numeric",
		  [SQL_TEXT] = "text",
		  [SQL_JSON] = "jsonb"},
	.describe = describe,
	.execute = execute,
	.alters_types = true,
	.has_comments = true,
};
