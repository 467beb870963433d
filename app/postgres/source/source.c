/* SPDX-License-Identifier: MIT */
/*
 * `postgres: { url: 'postgres://…', table: orders, key: id }`: the rows of a table or a query, each a JSON object
 * (row.h), with all the digits of a bigint or numeric.
 *
 * A page is a transaction of its own, read only, that is over before an item of it is used: nothing holds back the
 * server's vacuum.  A key travels as text, and the server makes of it what the column is.  A server that is away is
 * waited for, as long as it takes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#include "data/json.h"
#include "port/adapters.h"
#include "postgres/source/row.h"
#include "sql/name.h"
#include "sql/pages.h"

#define BUSY_PAUSE (100 * WEIR_MSEC)

struct postgres_source_config {
	char *url;
	bool prepared;
	struct sql_source_config rows;
};

struct postgres_source {
	struct sql_pages pages; /* first */
	const struct postgres_source_config *config;
	struct pg *pg;
	struct pg_statement first, next; /* pages from the first row on, and from a key on */
	struct buf first_sql, next_sql;
	struct row_shape shape; /* of their results */
	char type[128];         /* of the key, as SQL */
	char identity[80];
};

/* 42501 and others of the client's faults say what is wrong in the server's words; where is ours to say. */
static int fail(const struct postgres_source *source, const struct pg_error *why, int code, struct weir_error *err)
{
	if (strcmp(why->state, "25006") == 0)
		return weir_error_set(err, WEIR_EINVAL, "%s: the query writes, and a source only reads: %s",
				      pg_place(source->pg), why->text);
	if (!*why->state)
		return weir_error_set(err, code, "%s", why->text);
	return weir_error_set(err, code, "%s: %s", pg_place(source->pg), why->text);
}

static bool may_help_later(const struct pg_error *why)
{
	bool writes = strcmp(why->state, "25006") == 0, is_late = strcmp(why->state, "57014") == 0;
	return !writes && !is_late && (why->fault == PG_AWAY || why->fault == PG_BUSY || why->fault == PG_CONFLICT);
}

/* ---- transactions that read */

/* The statement in a transaction of its own, all of which is on its way at once. */
static int run_within(struct pg *pg, bool has_limit, struct pg_statement *statement, const struct pg_value *values,
		      struct pg_result **ret_result, struct pg_error *ret_why)
{
	struct pg_statement begin = {.sql = "BEGIN READ ONLY", .once = true}, end = {.sql = "COMMIT", .once = true};
	struct pg_statement limit = {.sql = "SET LOCAL statement_timeout = '1s'", .once = true};
	struct pg_statement *all[] = {&begin, has_limit ? &limit : statement, has_limit ? statement : &end, &end};
	struct pg_call calls[4];
	int n = has_limit ? 4 : 3, sent = 0, first = 0;
	while (sent < n && !first) {
		first = pg_send(pg, all[sent], values, &calls[sent], ret_why, WEIR_FOREVER);
		sent += !first;
	}
	for (int i = 0; i < sent; i++) {
		struct pg_error why = {0};
		struct pg_result **into = all[i] == statement ? ret_result : NULL;
		int code = pg_receive(pg, &calls[i], into, &why, WEIR_FOREVER);
		if (code && !first)
			*ret_why = why;
		first = first ? first : code;
	}
	if (first) {
		pg_free(*ret_result);
		*ret_result = NULL;
	}
	return first;
}

/* With SQL that is made for this one time; key: its only parameter, NULL: it has none.  *ret_late: a second was not
 * enough, and there is no result. */
static int ask(struct postgres_source *source, struct buf *sql, const char *key, struct pg_result **ret_result,
	       bool *ret_late, struct weir_error *err)
{
	struct pg_statement statement = {.sql = sql->data, .parameters = key != NULL, .once = true};
	const struct pg_value value = {key, 0, false};
	struct pg_error why = {0};
	*ret_late = false;
	if (sql->failed)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = run_within(source->pg, true, &statement, &value, ret_result, &why);
	buf_clear(sql);
	*ret_late = code && strcmp(why.state, "57014") == 0;
	return code && !*ret_late ? fail(source, &why, code, err) : 0;
}

/* ---- opening */

static int find_identity(struct postgres_source *source, struct weir_error *err)
{
	const char *table = source->config->rows.table;
	struct pg_result *result = NULL;
	struct buf sql = {0};
	bool late;
	buf_add_str(&sql, "SELECT (SELECT system_identifier FROM pg_control_system())");
	if (table)
		buf_addf(&sql, ", '\"%s\"'::regclass::oid", table);
	int code = ask(source, &sql, NULL, &result, &late, err);
	buf_fini(&sql);
	if (code || late)
		return late ? weir_error_set(err, WEIR_EBUSY, "%s does not answer", pg_place(source->pg)) : code;
	snprintf(source->identity, sizeof source->identity, "postgres system=%.30s table=%.20s", pg_text(result, 0, 0),
		 table ? pg_text(result, 0, 1) : "0");
	pg_free(result);
	return 0;
}

/* $1, if it is there, is the key to begin with; the last parameter is the number of rows. */
static int make_page(struct postgres_source *source, const struct pg_result *like, bool is_next, struct buf *text,
		     struct pg_statement *statement)
{
	const struct sql_source_config *rows = &source->config->rows;
	char from[160];
	buf_clear(text);
	snprintf(from, sizeof from, ">= $1::%s", source->type);
	buf_add_str(text, "SELECT ");
	source->shape = row_put_list(like, 1, rows->key, text);
	buf_add_str(text, " FROM (");
	sql_pages_put(rows, "*", is_next ? from : NULL, text);
	buf_add_str(text, " ORDER BY ");
	sql_put_name(text, rows->key);
	buf_addf(text, " LIMIT $%d::int8) AS ", is_next ? 2 : 1);
	row_put_alias(&source->shape, text);
	*statement = (struct pg_statement){.sql = text->data, .parameters = is_next ? 2 : 1};
	return text->failed ? WEIR_ENOMEM : 0;
}

/* What rows look like, and the statements that read them.  A left join with nothing has the types of its columns, also
 * where there is no row. */
static int find_columns(struct postgres_source *source, struct weir_error *err)
{
	const struct sql_source_config *rows = &source->config->rows;
	struct pg_result *like = NULL;
	struct buf sql = {0};
	bool late;
	buf_add_str(&sql, "SELECT pg_typeof(r.");
	sql_put_name(&sql, rows->key);
	buf_add_str(&sql, "), r.* FROM (SELECT 1) AS one LEFT JOIN (");
	sql_pages_put(rows, "*", NULL, &sql);
	buf_add_str(&sql, ") AS r ON false");
	int code = ask(source, &sql, NULL, &like, &late, err);
	buf_fini(&sql);
	if (code || late)
		return late ? weir_error_set(err, WEIR_EBUSY, "%s does not answer", pg_place(source->pg)) : code;
	snprintf(source->type, sizeof source->type, "%s", pg_text(like, 0, 0));
	if (make_page(source, like, false, &source->first_sql, &source->first) ||
	    make_page(source, like, true, &source->next_sql, &source->next))
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	pg_free(like);
	return code;
}

static int has_rows(struct postgres_source *source, struct buf *sql, bool *ret_has, struct weir_error *err)
{
	struct pg_result *result = NULL;
	bool late;
	int code = ask(source, sql, NULL, &result, &late, err);
	*ret_has = !code && !late && pg_rows(result) > 0;
	pg_free(result);
	return code;
}

/* Whether the table says that it is one. */
static int has_unique_index(struct postgres_source *source, bool *ret_has, struct weir_error *err)
{
	const struct sql_source_config *rows = &source->config->rows;
	struct buf sql = {0};
	buf_addf(&sql,
		 "SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
		 "WHERE i.indrelid = '\"%s\"'::regclass AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1 "
		 "AND i.indpred IS NULL AND a.attnotnull AND a.attname = '%s'",
		 rows->table, rows->key);
	int code = has_rows(source, &sql, ret_has, err);
	buf_fini(&sql);
	return code;
}

/* Nulls and doubles, as far as a second each is enough to find them; a page finds doubles that are left. */
static int check_key(struct postgres_source *source, struct weir_error *err)
{
	const struct sql_source_config *rows = &source->config->rows;
	bool has_nulls = false, has_doubles = false, is_unique = false;
	struct buf sql = {0};
	int code = rows->table ? has_unique_index(source, &is_unique, err) : 0;
	if (code || is_unique)
		return code;
	sql_pages_put(rows, "1", "IS NULL LIMIT 1", &sql);
	code = has_rows(source, &sql, &has_nulls, err);
	if (!code && !has_nulls) {
		sql_pages_put(rows, "1", "IS NOT NULL GROUP BY ", &sql);
		sql_put_name(&sql, rows->key);
		buf_add_str(&sql, " HAVING count(*) > 1 LIMIT 1");
		code = has_rows(source, &sql, &has_doubles, err);
	}
	buf_fini(&sql);
	return !code && (has_nulls || has_doubles) ? sql_pages_refuse_key(&source->pages, has_nulls, err) : code;
}

static int prepare(struct postgres_source *source, struct weir_error *err)
{
	int code = find_identity(source, err);
	if (!code)
		code = find_columns(source, err);
	return code ? code : check_key(source, err);
}

/* ---- pages */

static int add_rows(const struct row_shape *shape, struct sql_page *page, const struct pg_result *result)
{
	int code = 0;
	for (int i = 0; i < pg_rows(result) && !code; i++) {
		const char *key = pg_text(result, i, shape->key);
		size_t begin = page->text.len;
		if (!key)
			continue; /* a null behind all others: nothing was known of it at the start */
		const char *why = row_add(shape, result, i, &page->text);
		code = sql_page_add(page, key, begin, why);
	}
	return code;
}

/* Whether a column may have gone or got another type. */
static bool may_have_changed(const struct pg_error *why)
{
	return strncmp(why->state, "42", 2) == 0 || strcmp(why->state, "0A000") == 0;
}

static int read_page(struct postgres_source *source, const char *from, size_t n, struct pg_result **ret_result,
		     struct pg_error *ret_why)
{
	char rows[24];
	const struct pg_value first[] = {{rows, 0, false}}, next[] = {{from, 0, false}, {rows, 0, false}};
	snprintf(rows, sizeof rows, "%zu", n);
	return run_within(source->pg, false, from ? &source->next : &source->first, from ? next : first, ret_result,
			  ret_why);
}

static int wait_a_while(struct weir_error *err)
{
	int code = weir_sleep(BUSY_PAUSE);
	return code ? weir_error_set(err, code, "%s", weir_strerror(code)) : 0;
}

/* As long as it takes, and once more where the table has been altered. */
static int insist_on_page(struct postgres_source *source, const char *from, size_t n, struct pg_result **ret_result,
			  struct weir_error *err)
{
	struct pg_error why = {0};
	bool is_new = false;
	int code = 0, failed;
	while (!code && (failed = read_page(source, from, n, ret_result, &why))) {
		if (may_help_later(&why)) {
			code = wait_a_while(err);
		} else if (may_have_changed(&why) && !is_new) {
			code = find_columns(source, err);
			is_new = !code;
			if (code == WEIR_EBUSY)
				code = wait_a_while(err);
		} else {
			code = fail(source, &why, failed, err);
		}
	}
	return code;
}

static int read_rows(void *db, const char *from, size_t n, struct sql_page *page, struct weir_error *err)
{
	struct postgres_source *source = db;
	struct pg_result *result = NULL;
	int code = insist_on_page(source, from, n, &result, err);
	if (code)
		return code;
	bool is_full = (size_t)pg_rows(result) == n;
	code = add_rows(&source->shape, page, result);
	pg_free(result);
	return code ? weir_error_set(err, code, "out of memory") : is_full;
}

/* ---- how many */

/* behind: whether $1 is a key, and only rows behind it count. */
static void put_count(struct postgres_source *source, const char *what, bool behind, struct buf *sql)
{
	char from[160];
	snprintf(from, sizeof from, "> $1::%s", source->type);
	sql_pages_put(&source->config->rows, what, behind ? from : NULL, sql);
}

/* What the planner thinks. */
static int64_t estimate(struct postgres_source *source, const char *behind)
{
	struct pg_result *result = NULL;
	struct json *json = NULL;
	struct buf sql = {0};
	int64_t rows = -1;
	bool late;
	buf_add_str(&sql, "EXPLAIN (FORMAT JSON) ");
	put_count(source, "*", behind, &sql);
	if (!ask(source, &sql, behind, &result, &late, NULL) && !late && pg_rows(result) == 1 &&
	    !json_parse(pg_text(result, 0, 0), pg_length(result, 0, 0), &json, NULL)) {
		const struct json *at = json_at(json, ".[0].Plan.[\"Plan Rows\"]");
		rows = at ? json_int(at) : -1;
	}
	json_free(json);
	pg_free(result);
	buf_fini(&sql);
	return rows;
}

static int64_t count_rows(void *db, const char *behind, bool *ret_exact)
{
	struct postgres_source *source = db;
	struct pg_result *result = NULL;
	struct buf sql = {0};
	int64_t rows = -1;
	bool late;
	put_count(source, "count(*)", behind, &sql);
	int code = ask(source, &sql, behind, &result, &late, NULL);
	buf_fini(&sql);
	*ret_exact = !code && !late;
	if (*ret_exact)
		rows = pg_number(result, 0, 0);
	else if (late)
		rows = estimate(source, behind);
	pg_free(result);
	return rows;
}

static void put_name(const void *db, struct buf *out)
{
	buf_add_str(out, ((const struct postgres_source *)db)->identity);
}

static const struct sql_pages_ops page_ops = {.read = read_rows, .count = count_rows, .put_name = put_name};

/* ---- the port */

static void close_postgres(struct source *handle)
{
	struct postgres_source *source = (struct postgres_source *)handle;
	sql_pages_fini(&source->pages);
	pg_close(source->pg);
	buf_fini(&source->first_sql);
	buf_fini(&source->next_sql);
	free(source);
}

static int open_postgres(const void *config, const char *pipeline, struct source **ret_source, struct weir_error *err)
{
	struct postgres_source *source = calloc(1, sizeof *source);
	if (!source)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	source->config = config;
	sql_pages_init(&source->pages, &source->config->rows, &page_ops, source);
	const struct pg_options opts = {
		.url = source->config->url, .name = pipeline, .reads = true, .unprepared = !source->config->prepared};
	int code = pg_open(&opts, &source->pg, err);
	if (!code)
		code = prepare(source, err);
	if (code)
		close_postgres((struct source *)source);
	else
		*ret_source = (struct source *)source;
	return code;
}

static int check(const void *any, const char **ret_key, struct weir_error *err)
{
	const struct postgres_source_config *config = any;
	int code = sql_source_check(&config->rows, ret_key, err);
	if (code)
		return code;
	*ret_key = "url";
	return pg_check_url(config->url, err);
}

static const struct key keys[] = {
	{"url", KEY_STRING, offsetof(struct postgres_source_config, url), .flags = KEY_REQUIRED,
	 .text = "The database: postgres://USER@HOST:PORT/DATABASE, with every parameter of libpq"},
	SQL_SOURCE_KEYS(postgres_source_config, rows),
	{"prepared", KEY_BOOL, offsetof(struct postgres_source_config, prepared), .fallback = "true", .flags = KEY_PACE,
	 .text = "Whether to use prepared statements; `false` behind a pooler in transaction mode"},
	{0},
};

static const struct source_ops ops = {
	.open = open_postgres,
	.probe = sql_source_probe,
	.next = sql_source_next,
	.total = sql_source_total,
	.identify = sql_source_identify,
	.resume = sql_source_resume,
	.cursor = sql_source_cursor,
	.close = close_postgres,
};

const struct adapter source_postgres_adapter = {
	.kind = ADAPTER_SOURCE,
	.name = "postgres",
	.text = "Reads the rows of a table or a query of a PostgreSQL database, in the order of a key",
	.keys = keys,
	.config_bytes = sizeof(struct postgres_source_config),
	.check = check,
	.source = &ops,
};
