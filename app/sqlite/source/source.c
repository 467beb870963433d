/* SPDX-License-Identifier: MIT */
/*
 * `sqlite: { path: shop.db, table: orders, key: id }`: the rows of a table or a query, each a JSON object.
 *
 * One thread owns the connection, which cannot write (query_only).  A page is one statement there, and once it has
 * ended nothing is locked.  A key is kept with its type, since 1 and '1' are two values: 1, 1.5 or 'text.
 *
 * The file is known by its inode.  Its content is not: it may be written to while it is read.
 */
#include <inttypes.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <weir/weir.h>

#include "data/json.h"
#include "data/json_writer.h"
#include "port/adapters.h"
#include "sql/pages.h"
#include "sqlite/client/client.h"

#define LOCK_WAIT_MS  100
#define LOCK_PAUSE    (100 * WEIR_MSEC)
#define COUNT_SECONDS 1
#define COUNT_STEPS   10000 /* of SQLite's machine, between two looks at the clock */
#define WHY_BLOB      "a column holds a blob; leave it out, or select hex() of it"
#define WHY_NOT_UTF8  "a column holds text that is not valid UTF-8"

struct sqlite_source_config {
	char *path;
	struct sql_source_config rows;
};

struct sqlite_source {
	struct sql_pages pages; /* first */
	const struct sqlite_source_config *config;
	struct weir_pool *pool; /* one thread; the next four are touched there alone */
	sqlite3 *handle;
	sqlite3_stmt *first, *next; /* pages from the first row on, and from a key on */
	int key;                    /* its column */
	uint64_t inode;
};

struct source_job {
	struct sqlite_source *source;
	int (*work)(struct source_job *job);
	const char *from;
	size_t n;
	struct sql_page *page;
	struct weir_error *err;
	int64_t count;
	int result;
};

static int refuse(const struct sqlite_source *source, struct weir_error *err, int rc)
{
	return weir_error_set(err, sqlite_client_code(source->handle, rc), "%s: %s", source->config->path,
			      sqlite3_errmsg(source->handle));
}

/* ---- opening, on the thread */

static int prepare(struct sqlite_source *source, const char *from, const char *end, sqlite3_stmt **ret_statement,
		   struct weir_error *err)
{
	struct buf sql = {0};
	sql_pages_put(&source->config->rows, "*", from, &sql);
	buf_add_str(&sql, end);
	int rc = sql.failed ? SQLITE_NOMEM : sqlite3_prepare_v2(source->handle, sql.data, -1, ret_statement, NULL);
	buf_fini(&sql);
	return rc ? weir_error_set(err, rc == SQLITE_NOMEM ? WEIR_ENOMEM : WEIR_EINVAL, "%s: %s", source->config->path,
				   sqlite3_errmsg(source->handle))
		  : 0;
}

/* The config's SQL alone: it has no parameters, and the key is a column of it. */
static int check_columns(struct sqlite_source *source, struct weir_error *err)
{
	const struct sql_source_config *rows = &source->config->rows;
	sqlite3_stmt *plain = NULL;
	int code = prepare(source, NULL, "", &plain, err);
	source->key = sqlite3_column_count(plain) - 1;
	while (source->key >= 0 && strcasecmp(sqlite3_column_name(plain, source->key), rows->key) != 0)
		source->key--;
	if (!code && sqlite3_bind_parameter_count(plain))
		code = weir_error_set(err, WEIR_EINVAL,
				      "the SQL has a parameter (?), and there is no value for it; write the value");
	else if (!code && source->key < 0)
		code = weir_error_set(err, WEIR_EINVAL, "%s%.60s in %.150s has no column %s, the key; name another one",
				      rows->table ? "table " : "the query", rows->table ? rows->table : "",
				      source->config->path, rows->key);
	sqlite3_finalize(plain);
	return code;
}

static int prepare_pages(struct sqlite_source *source, struct weir_error *err)
{
	char end[120];
	snprintf(end, sizeof end, " ORDER BY \"%s\" LIMIT ?2", source->config->rows.key);
	int code = prepare(source, NULL, end, &source->first, err);
	return code ? code : prepare(source, ">= ?1", end, &source->next, err);
}

static int has_rows(struct sqlite_source *source, const char *sql, bool *ret_has, struct weir_error *err)
{
	sqlite3_stmt *row = NULL;
	int rc = sqlite3_prepare_v2(source->handle, sql, -1, &row, NULL);
	if (!rc)
		rc = sqlite3_step(row);
	*ret_has = rc == SQLITE_ROW;
	sqlite3_finalize(row);
	return rc == SQLITE_ROW || rc == SQLITE_DONE || rc == SQLITE_INTERRUPT ? 0 : refuse(source, err, rc);
}

static int is_late(void *arg)
{
	const struct timespec *until = arg;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > until->tv_sec || (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec);
}

/* What follows is interrupted after a second. */
static void limit_time(struct sqlite_source *source, struct timespec *until)
{
	clock_gettime(CLOCK_MONOTONIC, until);
	until->tv_sec += COUNT_SECONDS;
	sqlite3_progress_handler(source->handle, COUNT_STEPS, is_late, until);
}

/* Nulls and doubles, as far as a second is enough to find them; a page finds those that are left. */
static int check_key(struct sqlite_source *source, struct weir_error *err)
{
	const struct sql_source_config *rows = &source->config->rows;
	struct buf nulls = {0}, doubles = {0};
	struct timespec until;
	bool has_nulls = false, has_doubles = false;
	sql_pages_put(rows, "1", "IS NULL LIMIT 1", &nulls);
	sql_pages_put(rows, "1", "IS NOT NULL", &doubles);
	buf_addf(&doubles, " GROUP BY \"%s\" HAVING count(*) > 1 LIMIT 1", rows->key);
	limit_time(source, &until);
	int code = nulls.failed || doubles.failed ? weir_error_set(err, WEIR_ENOMEM, "out of memory")
						  : has_rows(source, nulls.data, &has_nulls, err);
	if (!code && !has_nulls)
		code = has_rows(source, doubles.data, &has_doubles, err);
	sqlite3_progress_handler(source->handle, 0, NULL, NULL);
	buf_fini(&nulls);
	buf_fini(&doubles);
	return !code && (has_nulls || has_doubles) ? sql_pages_refuse_key(&source->pages, has_nulls, err) : code;
}

static int open_on_thread(struct source_job *job)
{
	struct sqlite_source *source = job->source;
	const char *path = source->config->path;
	struct stat st;
	if (stat(path, &st))
		return weir_error_set(job->err, -errno, "%s: %s", path, weir_strerror(-errno));
	source->inode = st.st_ino;
	int code = sqlite_client_open(path, SQLITE_OPEN_READWRITE, LOCK_WAIT_MS, &source->handle, job->err);
	if (code)
		return code;
	int rc = sqlite3_exec(source->handle, "PRAGMA query_only=ON; SELECT count(*) FROM sqlite_schema", NULL, NULL,
			      NULL);
	if (rc)
		return refuse(source, job->err, rc);
	code = check_columns(source, job->err);
	if (!code)
		code = prepare_pages(source, job->err);
	return code ? code : check_key(source, job->err);
}

static int close_on_thread(struct source_job *job)
{
	sqlite3_finalize(job->source->first);
	sqlite3_finalize(job->source->next);
	sqlite3_close(job->source->handle);
	return 0;
}

/* ---- rows, on the thread */

/* With the fewest digits that are the same number. */
static void put_real(struct buf *out, const char *name, double real)
{
	char text[40];
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, real);
		if (strtod(text, NULL) == real)
			break;
	}
	if (isinf(real)) /* a number in JSON, though none that a double holds */
		snprintf(text, sizeof text, "%s1e999", real < 0 ? "-" : "");
	json_put_raw(out, name, text, strlen(text));
}

/* NULL, or why the row is no item. */
static const char *put_column(struct buf *out, sqlite3_stmt *row, int at)
{
	const char *name = sqlite3_column_name(row, at), *text;
	size_t n;
	switch (sqlite3_column_type(row, at)) {
	case SQLITE_INTEGER:
		json_put_int(out, name, sqlite3_column_int64(row, at));
		return NULL;
	case SQLITE_FLOAT:
		put_real(out, name, sqlite3_column_double(row, at));
		return NULL;
	case SQLITE_TEXT:
		text = (const char *)sqlite3_column_text(row, at);
		n = (size_t)sqlite3_column_bytes(row, at);
		json_put_bytes(out, name, text, n);
		return json_utf8_valid(text, n) ? NULL : WHY_NOT_UTF8;
	case SQLITE_BLOB:
		json_put_text(out, name, NULL);
		return WHY_BLOB;
	default:
		json_put_text(out, name, NULL);
		return NULL;
	}
}

static int read_key(const struct sqlite_source *source, sqlite3_stmt *row, struct buf *key, struct weir_error *err)
{
	const char *text = (const char *)sqlite3_column_text(row, source->key);
	size_t n = (size_t)sqlite3_column_bytes(row, source->key);
	int type = sqlite3_column_type(row, source->key);
	buf_clear(key);
	if (type == SQLITE_INTEGER)
		buf_addf(key, "%lld", (long long)sqlite3_column_int64(row, source->key));
	else if (type == SQLITE_FLOAT)
		put_real(key, NULL, sqlite3_column_double(row, source->key));
	else if (type == SQLITE_TEXT && strlen(text) == n)
		buf_addf(key, "'%s", text);
	else
		return weir_error_set(err, WEIR_EINVAL, "the key %s is %s in some rows; name another column",
				      source->config->rows.key,
				      type == SQLITE_NULL   ? "null"
				      : type == SQLITE_BLOB ? "a blob"
							    : "text with a NUL");
	return key->failed ? weir_error_set(err, WEIR_ENOMEM, "out of memory") : 0;
}

static int add_row(struct source_job *job, sqlite3_stmt *row, struct buf *key)
{
	struct buf *text = &job->page->text;
	size_t begin = text->len;
	const char *why = NULL;
	int code = read_key(job->source, row, key, job->err);
	if (code)
		return code;
	json_open(text, NULL, '{');
	for (int i = 0; i < sqlite3_column_count(row); i++) {
		const char *wrong = put_column(text, row, i);
		why = why ? why : wrong;
	}
	json_close(text, '}');
	code = sql_page_add(job->page, key->data, begin, why);
	return code ? weir_error_set(job->err, code, "out of memory") : 0;
}

/* As read_key() has it. */
static int bind_key(sqlite3_stmt *statement, const char *key)
{
	if (*key == '\'')
		return sqlite3_bind_text(statement, 1, key + 1, -1, SQLITE_STATIC);
	if (strpbrk(key, ".eEn"))
		return sqlite3_bind_double(statement, 1, strtod(key, NULL));
	return sqlite3_bind_int64(statement, 1, strtoll(key, NULL, 10));
}

static int read_on_thread(struct source_job *job)
{
	struct sqlite_source *source = job->source;
	sqlite3_stmt *rows = job->from ? source->next : source->first;
	struct buf key = {0};
	bool is_full = false;
	int code = 0, rc = job->from ? bind_key(rows, job->from) : 0;
	if (!rc)
		rc = sqlite3_bind_int64(rows, 2, (int64_t)job->n);
	while (!rc && !code && !is_full && (rc = sqlite3_step(rows)) == SQLITE_ROW) {
		rc = 0;
		code = add_row(job, rows, &key);
		is_full = job->page->n == job->n || (job->page->n > 1 && job->page->text.len > SQL_PAGE_BYTES);
	}
	if (rc && rc != SQLITE_DONE)
		code = refuse(source, job->err, rc);
	sqlite3_reset(rows);
	sqlite3_clear_bindings(rows);
	buf_fini(&key);
	return code ? code : is_full;
}

static int count_on_thread(struct source_job *job)
{
	struct sqlite_source *source = job->source;
	sqlite3_stmt *row = NULL;
	struct timespec until;
	struct buf sql = {0};
	sql_pages_put(&source->config->rows, "count(*)", job->from ? "> ?1" : NULL, &sql);
	int rc = sql.failed ? SQLITE_NOMEM : sqlite3_prepare_v2(source->handle, sql.data, -1, &row, NULL);
	if (!rc && job->from)
		rc = bind_key(row, job->from);
	limit_time(source, &until);
	job->count = !rc && sqlite3_step(row) == SQLITE_ROW ? sqlite3_column_int64(row, 0) : -1;
	sqlite3_progress_handler(source->handle, 0, NULL, NULL);
	sqlite3_finalize(row);
	buf_fini(&sql);
	return 0;
}

/* ---- on the fiber */

static int run_job(void *arg)
{
	struct source_job *job = arg;
	job->result = job->work(job);
	return 0;
}

static int call_thread(struct source_job *job, int (*work)(struct source_job *job), weir_nsec deadline)
{
	job->work = work;
	int code = weir_pool_call(job->source->pool, run_job, job, deadline);
	return code ? weir_error_set(job->err, code, "%s: %s", job->source->config->path, weir_strerror(code))
		    : job->result;
}

/* A database that others have locked is waited for. */
static int read_rows(void *db, const char *from, size_t n, struct sql_page *page, struct weir_error *err)
{
	struct source_job job = {.source = db, .from = from, .n = n, .page = page, .err = err};
	int code;
	while ((code = call_thread(&job, read_on_thread, WEIR_FOREVER)) == WEIR_EBUSY) {
		sql_page_clear(page);
		code = weir_sleep(LOCK_PAUSE);
		if (code)
			return weir_error_set(err, code, "%s is locked", ((struct sqlite_source *)db)->config->path);
	}
	return code;
}

static int64_t count_rows(void *db, const char *behind, bool *ret_exact)
{
	struct source_job job = {.source = db, .from = behind, .count = -1};
	int code = call_thread(&job, count_on_thread, WEIR_FOREVER);
	*ret_exact = !code && job.count >= 0;
	return code ? -1 : job.count;
}

static void put_name(const void *db, struct buf *out)
{
	buf_addf(out, "sqlite inode=%" PRIu64, ((const struct sqlite_source *)db)->inode);
}

static const struct sql_pages_ops page_ops = {.read = read_rows, .count = count_rows, .put_name = put_name};

static void close_sqlite(struct source *handle)
{
	struct sqlite_source *source = (struct sqlite_source *)handle;
	struct source_job job = {.source = source};
	sql_pages_fini(&source->pages);
	if (source->pool) {
		weir_shield_enter();
		call_thread(&job, close_on_thread, WEIR_FOREVER);
		weir_shield_leave();
	}
	weir_pool_free(source->pool);
	free(source);
}

static int open_sqlite(const void *config, const char *pipeline, struct source **ret_source, struct weir_error *err)
{
	struct sqlite_source *source = calloc(1, sizeof *source);
	struct source_job job = {.source = source, .err = err};
	if (!source)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	(void)pipeline;
	source->config = config;
	sql_pages_init(&source->pages, &source->config->rows, &page_ops, source);
	int code = weir_pool_new(1, &source->pool);
	code = code ? weir_error_set(err, code, "%s", weir_strerror(code))
		    : call_thread(&job, open_on_thread, WEIR_FOREVER);
	if (code)
		close_sqlite((struct source *)source);
	else
		*ret_source = (struct source *)source;
	return code;
}

static int check(const void *config, const char **ret_key, struct weir_error *err)
{
	return sql_source_check(&((const struct sqlite_source_config *)config)->rows, ret_key, err);
}

static const struct key keys[] = {
	{"path", KEY_PATH_IN, offsetof(struct sqlite_source_config, path), .flags = KEY_REQUIRED | KEY_DATABASE,
	 .text = "The database file"},
	SQL_SOURCE_KEYS(sqlite_source_config, rows),
	{0},
};

static const struct source_ops ops = {
	.open = open_sqlite,
	.probe = sql_source_probe,
	.next = sql_source_next,
	.total = sql_source_total,
	.identify = sql_source_identify,
	.resume = sql_source_resume,
	.cursor = sql_source_cursor,
	.close = close_sqlite,
};

const struct adapter source_sqlite_adapter = {
	.kind = ADAPTER_SOURCE,
	.name = "sqlite",
	.text = "Reads the rows of a table or a query of an SQLite database, in the order of a key",
	.keys = keys,
	.config_bytes = sizeof(struct sqlite_source_config),
	.check = check,
	.source = &ops,
};
