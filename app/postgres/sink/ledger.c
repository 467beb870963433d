/* SPDX-License-Identifier: MIT */
/*
 * See sql/ledger.h.  weir_ledger has the items: the statement that writes rows claims them (statement.c).  A run notes
 * its tables apart, so one that is old by itself is kept as long as another table of the run is not.
 */
#include "postgres/sink/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

static char *make_sql(const char *format, const char *ledger, const char *runs)
{
	struct buf sql = {0};
	for (const char *at = format; *at; at++)
		if (*at == '@')
			buf_add_str(&sql, ledger);
		else if (*at == '#')
			buf_add_str(&sql, runs);
		else
			buf_add_char(&sql, *at);
	return buf_take(&sql, NULL);
}

static char *name_in(const char *schema, const char *table)
{
	struct buf name = {0};
	sql_put_name(&name, schema);
	buf_addf(&name,
		 "."
		 "%s",
		 table);
	return buf_take(&name, NULL);
}

static int init(struct postgres_sink *sink)
{
	/* `seen` is looked at again in the moment of removal: a run that is there after all keeps what is left. */
	static const char clear[] =
		"WITH old AS (SELECT run, \"table\" FROM # r WHERE seen < now() - $2::interval AND run <> $1::uuid"
		" AND NOT EXISTS (SELECT FROM # y WHERE y.run = r.run AND y.seen >= now() - $2::interval)"
		" ORDER BY seen LIMIT 1 FOR UPDATE SKIP LOCKED),"
		" page AS (SELECT l.* FROM @ l JOIN old USING (run, \"table\") LIMIT " SQL_LEDGER_PAGE "),"
		" gone AS (DELETE FROM @ l USING page p"
		" WHERE (l.run, l.\"table\", l.item) = (p.run, p.\"table\", p.item)),"
		" over AS (DELETE FROM # r USING old"
		" WHERE (r.run, r.\"table\") = (old.run, old.\"table\") AND NOT EXISTS (SELECT FROM page))"
		" SELECT count(*) FROM old";
	static const char note[] = "INSERT INTO # VALUES ($1::uuid, $2::text, now())"
				   " ON CONFLICT (run, \"table\") DO UPDATE SET seen = now()";
	static const char begin[] =
		"INSERT INTO # VALUES ($1::uuid, $2::text, now()) ON CONFLICT DO NOTHING RETURNING run";
	struct postgres_ledger *ledger = &sink->ledger;
	ledger->table = name_in(sink->schema, SQL_LEDGER);
	ledger->runs = name_in(sink->schema, SQL_LEDGER_RUNS);
	if (!ledger->table || !ledger->runs)
		return WEIR_ENOMEM;
	ledger->clear = (struct pg_statement){.sql = make_sql(clear, ledger->table, ledger->runs), .parameters = 2};
	ledger->note = (struct pg_statement){.sql = make_sql(note, ledger->table, ledger->runs), .parameters = 2};
	ledger->begin = (struct pg_statement){
		.sql = make_sql(begin, ledger->table, ledger->runs), .parameters = 2, .once = true};
	return ledger->clear.sql && ledger->note.sql && ledger->begin.sql ? 0 : WEIR_ENOMEM;
}

void postgres_ledger_name(const struct postgres_sink *sink, struct pg_value values[2])
{
	values[0] = (struct pg_value){sink->run, 0, false};
	values[1] = (struct pg_value){sink->config->rows.table, 0, false};
}

/* ---- opening */

/* Of each table: whether it is there, and is ours. */
struct found {
	int64_t tables, columns;
	bool may_create;
};

enum { COLUMNS = 3 }; /* of each */

static int look(struct postgres_sink *sink, struct found *ret_found, struct pg_error *why)
{
	static const char sql[] =
		"SELECT count(DISTINCT c.oid), count(a.attname), has_schema_privilege($1, 'CREATE') FROM pg_class c"
		" JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $1"
		" LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND (c.relname, a.attname, a.atttypid) IN"
		" (('" SQL_LEDGER "', 'run', 'uuid'::regtype), ('" SQL_LEDGER "', 'table', 'text'::regtype),"
		" ('" SQL_LEDGER "', 'item', 'int8'::regtype), ('" SQL_LEDGER_RUNS "', 'run', 'uuid'::regtype),"
		" ('" SQL_LEDGER_RUNS "', 'table', 'text'::regtype),"
		" ('" SQL_LEDGER_RUNS "', 'seen', 'timestamptz'::regtype))"
		" WHERE c.relname IN ('" SQL_LEDGER "', '" SQL_LEDGER_RUNS "') AND c.relkind IN ('r', 'p', 'v')";
	struct pg_statement statement = {.sql = sql, .parameters = 1, .once = true};
	struct pg_result *result = NULL;
	int code = pg_run(sink->pg, &statement, &(struct pg_value){sink->schema, 0, false}, &result, why, WEIR_FOREVER);
	if (code)
		return code;
	*ret_found = (struct found){pg_number(result, 0, 0), pg_number(result, 0, 1), *pg_text(result, 0, 2) == 't'};
	pg_free(result);
	return 0;
}

static int find_run(struct postgres_sink *sink, struct pg_error *why)
{
	static const char text[] = "SELECT EXISTS (SELECT FROM # WHERE run = $1::uuid AND \"table\" = $2::text)";
	char *sql = make_sql(text, "", sink->ledger.runs);
	struct pg_statement statement = {.sql = sql, .parameters = 2, .once = true};
	struct pg_result *result = NULL;
	struct pg_value values[2];
	postgres_ledger_name(sink, values);
	int code = sql ? pg_run(sink->pg, &statement, values, &result, why, WEIR_FOREVER) : WEIR_ENOMEM;
	sink->ledger.known = !code && *pg_text(result, 0, 0) == 't';
	pg_free(result);
	free(sql);
	return code;
}

int postgres_ledger_open(struct postgres_sink *sink, struct weir_error *err)
{
	struct found found = {0};
	struct pg_error why = {0};
	int code = init(sink);
	if (!code)
		code = look(sink, &found, &why);
	if (!code && found.columns != COLUMNS * found.tables)
		return weir_error_set(
			err, WEIR_EINVAL,
			"%s: table " SQL_LEDGER " or " SQL_LEDGER_RUNS
			" in schema %s was not created by weir, which needs tables of these names; rename it, "
			"name another schema, or set `key`",
			pg_place(sink->pg), sink->schema);
	if (!code && found.tables < 2 && !found.may_create)
		return weir_error_set(
			err, WEIR_EINVAL,
			"%s: without a key weir notes what it has written in a table " SQL_LEDGER
			", which may not be created in schema %s; grant it (GRANT CREATE ON SCHEMA \"%s\" TO "
			"the user), or set `key`",
			pg_place(sink->pg), sink->schema, sink->schema);
	sink->ledger.exists = found.tables == 2;
	if (!code && sink->ledger.exists)
		code = find_run(sink, &why);
	return code ? postgres_sink_fail(sink, &why, code, err) : 0;
}

int postgres_ledger_look(struct postgres_sink *sink, struct pg_error *why)
{
	struct found found = {0};
	int code = look(sink, &found, why);
	sink->ledger.exists = found.tables == 2;
	return code || !sink->ledger.exists ? code : find_run(sink, why);
}

/* ---- starting */

static int note_run(struct postgres_sink *sink, struct pg_error *why, weir_nsec deadline)
{
	struct pg_value values[2];
	postgres_ledger_name(sink, values);
	return pg_run(sink->pg, &sink->ledger.note, values, NULL, why, deadline);
}

/* Two processes that begin at a time may both find that it is not there. */
static int make_tables(struct postgres_sink *sink, struct pg_error *why)
{
	static const char *const texts[] = {
		"CREATE TABLE IF NOT EXISTS @ (run uuid, \"table\" text, item bigint, PRIMARY KEY (run, \"table\", "
		"item))",
		"CREATE TABLE IF NOT EXISTS #"
		" (run uuid, \"table\" text, seen timestamptz NOT NULL, PRIMARY KEY (run, \"table\"))",
	};
	struct found found = {0};
	int code = look(sink, &found, why);
	for (size_t i = 0; i < 2 && !code && found.tables < 2; i++) {
		char *sql = make_sql(texts[i], sink->ledger.table, sink->ledger.runs);
		for (int again = 0; again < 3; again++) {
			code = sql ? pg_do(sink->pg, sql, NULL, why, WEIR_FOREVER) : WEIR_ENOMEM;
			if (code != WEIR_EDATA)
				break;
		}
		free(sql);
	}
	return code;
}

int postgres_ledger_make(struct postgres_sink *sink, struct weir_error *err)
{
	struct pg_error why = {0};
	int code = make_tables(sink, &why);
	sink->ledger.exists = !code;
	return code ? postgres_sink_fail(sink, &why, code, err) : 0;
}

int postgres_ledger_note(struct postgres_sink *sink, struct weir_error *err)
{
	struct pg_error why = {0};
	int code = note_run(sink, &why, WEIR_FOREVER);
	sql_ledger_noted(&sink->ledger.upkeep);
	return code ? postgres_sink_fail(sink, &why, code, err) : 0;
}

/* ---- while it runs */

static int clear_page(void *handle, bool *ret_more, weir_nsec deadline)
{
	struct postgres_sink *sink = handle;
	char keep[40];
	struct pg_result *result = NULL;
	struct pg_error why;
	snprintf(keep, sizeof keep, "%lld seconds", (long long)(sink->config->rows.ledger_keep / WEIR_SEC));
	const struct pg_value values[] = {{sink->run, 0, false}, {keep, 0, false}};
	int code = pg_run(sink->pg, &sink->ledger.clear, values, &result, &why, deadline);
	*ret_more = !code && pg_number(result, 0, 0) > 0;
	pg_free(result);
	return code;
}

static int note_alive(void *sink, weir_nsec deadline)
{
	struct pg_error why;
	return note_run(sink, &why, deadline);
}

void postgres_ledger_tend(struct postgres_sink *sink, weir_nsec deadline)
{
	static const struct sql_ledger_ops ops = {.note = note_alive, .clear = clear_page};
	sql_ledger_tend(&sink->ledger.upkeep, &ops, sink, deadline);
}

void postgres_ledger_close(struct postgres_sink *sink)
{
	struct postgres_ledger *ledger = &sink->ledger;
	free(ledger->table);
	free(ledger->runs);
	free((char *)(uintptr_t)ledger->clear.sql);
	free((char *)(uintptr_t)ledger->note.sql);
	free((char *)(uintptr_t)ledger->begin.sql);
	*ledger = (struct postgres_ledger){0};
}
