/* SPDX-License-Identifier: MIT */
/*
 * `sqlite: { path: orders.db, table: orders, key: id }`: outputs as rows, an upsert where there is a key.
 *
 * One thread owns the connection; batches, the parsing of their JSON included, run there.  A batch is a transaction, so
 * once write() has returned its rows survive a power cut.  Without a key the ids of its items are written with them
 * (sqlite_db.h has the ledger), and so each row is there once, too.
 *
 * A row that cannot be (a constraint, a type, no key) spoils only its item:
 *   - a statement that fails undoes itself, which is all there is to undo of an item with one output;
 *   - an item with several has a savepoint, and goes back to it;
 *   - a constraint or trigger that rolls the whole transaction back: the batch starts again without that item.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <weir/weir.h>

#include "port/adapters.h"
#include "sink/sqlite_db.h"
#include "sink/table.h"

struct sqlite_config {
	char *path;
	struct sink_table_config rows;
};

struct sink {
	const struct sqlite_config *config;
	struct weir_pool *pool; /* one thread; all below is touched there alone once the sink is open */
	char *run;              /* whose ledger is kept; NULL: no need */
	struct sqlite_db *db;
	struct sink_table table;
	struct weir_error failed; /* for good: what every further write answers */
};

struct job {
	struct sink *sink;
	struct sink_item *items;
	size_t n;
	uint64_t **ret_ids;
	size_t *ret_n;
	struct weir_error *err;
	int result;
	bool done;
};

static int check_config(const void *any, const char **ret_key, struct weir_error *err)
{
	const struct sqlite_config *config = any;
	*ret_key = "table";
	if (strncasecmp(config->rows.table, "sqlite_", 7) == 0)
		return weir_error_set(err, WEIR_EINVAL,
				      "names that begin with 'sqlite_' belong to SQLite; choose another");
	if (strcasecmp(config->rows.table, SQLITE_DB_LEDGER) == 0)
		return weir_error_set(err, WEIR_EINVAL,
				      "'" SQLITE_DB_LEDGER "' is where weir notes what it has written; choose another");
	return sink_table_check(&config->rows, ret_key, err);
}

static int refuse(const struct sink *sink, struct weir_error *err, int code)
{
	return weir_error_set(err, code, "%s: %s", sink->config->path,
			      code == WEIR_ENOMEM ? "out of memory" : sqlite_db_why(sink->db));
}

static int blame(struct sink_item *item, const char *format, const char *detail)
{
	snprintf(item->why, sizeof item->why, format, detail);
	for (char *c = item->why; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7F)
			*c = '?';
	return WEIR_EDATA;
}

/* SQLite's words, if it blames the row. */
static int blame_row(const struct sink *sink, struct sink_item *item, int code)
{
	return code == WEIR_EDATA ? blame(item, "sqlite: %s", sqlite_db_why(sink->db)) : code;
}

/* ---- rows, on the thread: 0; WEIR_EDATA with item->why; or another code, and the transaction cannot be */

static int check_field(struct sink_item *item, const struct json *json, const char *name, bool is_key)
{
	enum json_type type = json ? json_type(json) : JSON_NULL;
	size_t n = 0;
	if (type == JSON_TEXT) {
		const char *text = json_text(json, &n);
		return n && memchr(text, 0, n) ? blame(item, "field %s holds a NUL character", name) : 0;
	}
	if (!is_key || type == JSON_NUMBER_INT || type == JSON_NUMBER_REAL)
		return 0;
	return blame(item,
		     type == JSON_NULL ? "the output has no field %s, the key"
				       : "field %s, the key, is neither text nor a number",
		     name);
}

static int bind_row(struct sink *sink, struct sink_item *item, const struct json *json, const struct value *output)
{
	int code = 0;
	for (size_t i = 0; i < sink->table.n && !code; i++) {
		const char *name = sink->table.columns[i];
		if (i == sink->table.whole) {
			code = blame_row(sink, item, sqlite_db_bind_text(sink->db, i, output->data, output->len));
			continue;
		}
		const struct json *field = json_member(json, name);
		code = check_field(item, field, name, i == sink->table.key);
		if (!code)
			code = blame_row(sink, item, sqlite_db_bind(sink->db, i, field));
	}
	return code;
}

/* Where the output's fields matter it must be an object; else it goes in as it is. */
static int parse_output(struct sink *sink, struct sink_item *item, const struct value *output, struct json **ret_json)
{
	struct weir_error err = {0};
	*ret_json = NULL;
	if (sink->table.n == 1 && sink->table.whole == 0)
		return 0;
	int code = json_parse(output->data, output->len, ret_json, &err);
	if (code)
		return code == WEIR_ENOMEM ? code : blame(item, "the output is no JSON: %.120s", err.text);
	if (json_type(*ret_json) == JSON_OBJECT)
		return 0;
	json_free(*ret_json);
	*ret_json = NULL;
	return blame(item, "the output is no object, so it has no field %s", sink->table.columns[0]);
}

static int write_output(struct sink *sink, struct sink_item *item, const struct value *output)
{
	struct json *json;
	int code = parse_output(sink, item, output, &json);
	if (code)
		return code;
	code = bind_row(sink, item, json, output);
	if (!code)
		code = blame_row(sink, item, sqlite_db_insert(sink->db));
	sqlite_db_unbind(sink->db);
	json_free(json);
	return code;
}

static int write_item(struct sink *sink, struct sink_item *item)
{
	const struct value_list *outputs = &item->item->outputs;
	bool marked = outputs->n > 1;
	int code = marked ? sqlite_db_do(sink->db, SQLITE_DB_MARK) : 0;
	for (size_t i = 0; i < outputs->n && !code; i++)
		code = write_output(sink, item, &outputs->values[i]);
	if (!marked || (code && code != WEIR_EDATA) || !sqlite_db_in_transaction(sink->db))
		return code;
	int end = code ? sqlite_db_do(sink->db, SQLITE_DB_UNDO) : 0;
	if (!end)
		end = sqlite_db_do(sink->db, SQLITE_DB_KEEP);
	return end ? end : code;
}

/* ---- batches, on the thread */

/* WEIR_EDATA when an item has rolled back the whole transaction: it has its verdict, all others are to be written
 * again. */
static int write_items(struct sink *sink, struct sink_item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (items[i].verdict)
			continue;
		int code = write_item(sink, &items[i]);
		if (code && code != WEIR_EDATA)
			return code;
		items[i].verdict = code;
		if (code && !sqlite_db_in_transaction(sink->db))
			return WEIR_EDATA;
	}
	return 0;
}

/* The engine acks a batch before it writes the next, so the ids of this one take the place of the last one's. */
static int note_items(struct sink *sink, const struct sink_item *items, size_t n)
{
	size_t written = 0;
	uint64_t *ids = malloc(n * sizeof *ids + 1);
	if (!ids)
		return WEIR_ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (!items[i].verdict)
			ids[written++] = items[i].item->id;
	int code = sqlite_db_note(sink->db, ids, written);
	free(ids);
	return code;
}

static int write_batch(struct sink *sink, struct sink_item *items, size_t n, struct weir_error *err)
{
	int code;
	for (size_t i = 0; i < n; i++)
		items[i].verdict = 0;
	do {
		code = sqlite_db_do(sink->db, SQLITE_DB_BEGIN);
		if (!code)
			code = write_items(sink, items, n);
	} while (code == WEIR_EDATA);
	if (!code && sink->run)
		code = note_items(sink, items, n);
	if (!code)
		code = sqlite_db_do(sink->db, SQLITE_DB_COMMIT);
	if (!code)
		return 0;
	/* Only a deferred constraint fails at the commit, and nobody can tell whose row it was. */
	if (code == WEIR_EDATA)
		code = WEIR_EIO;
	struct weir_error why = {0};
	refuse(sink, &why, code);
	if (sqlite_db_in_transaction(sink->db))
		sqlite_db_do(sink->db, SQLITE_DB_ROLLBACK);
	if (code == WEIR_EIO)
		sink->failed = why;
	return weir_error_set(err, code, "%s", why.text);
}

static int write_on_thread(void *arg)
{
	struct job *job = arg;
	job->result = write_batch(job->sink, job->items, job->n, job->err);
	job->done = true;
	return 0;
}

static int open_on_thread(void *arg)
{
	struct job *job = arg;
	struct sink *sink = job->sink;
	const struct sqlite_db_options opts = {
		.path = sink->config->path,
		.config = &sink->config->rows,
		.table = &sink->table,
		.run = sink->run,
	};
	job->result = sqlite_db_open(&opts, &sink->db, job->err);
	job->done = true;
	return 0;
}

static int close_on_thread(void *arg)
{
	struct job *job = arg;
	sqlite_db_close(job->sink->db);
	job->done = true;
	return 0;
}

static int find_written_on_thread(void *arg)
{
	struct job *job = arg;
	job->result = sqlite_db_noted(job->sink->db, job->ret_ids, job->ret_n);
	if (job->result)
		refuse(job->sink, job->err, job->result);
	job->done = true;
	return 0;
}

/* ---- the port, on the fiber */

/* What the thread has done is done, even if the fiber was cancelled meanwhile. */
static int call_thread(struct job *job, weir_offload_fn fn, weir_nsec deadline)
{
	int code = weir_pool_call(job->sink->pool, fn, job, deadline);
	if (job->done)
		return job->result;
	return weir_error_set(job->err, code, "%s: %s", job->sink->config->path, weir_strerror(code));
}

static int close_sqlite(struct sink *sink, struct weir_error *err)
{
	struct job job = {.sink = sink, .err = err};
	int code = 0;
	if (sink->pool) {
		weir_shield_enter();
		code = call_thread(&job, close_on_thread, WEIR_FOREVER);
		weir_shield_leave();
	}
	weir_pool_free(sink->pool);
	sink_table_fini(&sink->table);
	free(sink->run);
	free(sink);
	return code;
}

static int init_sink(struct sink *sink, const struct sqlite_config *config, const struct sink_env *env)
{
	sink->config = config;
	if (env->run && !config->rows.key && !(sink->run = strdup(env->run)))
		return WEIR_ENOMEM;
	int code = sink_table_init(&sink->table, &config->rows);
	return code ? code : weir_pool_new(1, &sink->pool);
}

static int open_sqlite(const void *config, const struct sink_env *env, struct sink **ret_sink, struct weir_error *err)
{
	struct sink *sink = calloc(1, sizeof *sink);
	struct job job = {.sink = sink, .err = err};
	if (!sink)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = init_sink(sink, config, env);
	code = code ? weir_error_set(err, code, "%s", weir_strerror(code))
		    : call_thread(&job, open_on_thread, WEIR_FOREVER);
	if (code) {
		close_sqlite(sink, NULL);
		return code;
	}
	*ret_sink = sink;
	return 0;
}

static int write_sqlite(struct sink *sink, struct sink_item *items, size_t n, struct weir_error *err,
			weir_nsec deadline)
{
	struct job job = {.sink = sink, .items = items, .n = n, .err = err};
	if (sink->failed.code)
		return weir_error_set(err, sink->failed.code, "%s", sink->failed.text);
	return call_thread(&job, write_on_thread, deadline);
}

static bool is_exact(const struct sink *sink)
{
	return sink->config->rows.key || sink->run;
}

static int find_written(struct sink *sink, uint64_t **ret_ids, size_t *ret_n, struct weir_error *err,
			weir_nsec deadline)
{
	struct job job = {.sink = sink, .ret_ids = ret_ids, .ret_n = ret_n, .err = err};
	if (sink->run)
		return call_thread(&job, find_written_on_thread, deadline);
	*ret_ids = NULL;
	*ret_n = 0;
	return 0;
}

static const struct key keys[] = {
	{"path", KEY_PATH_OUT, offsetof(struct sqlite_config, path), .flags = KEY_REQUIRED,
	 .text = "the database file, made if there is none"},
	{"table", KEY_STRING, offsetof(struct sqlite_config, rows.table), .flags = KEY_REQUIRED,
	 .text = "the table, made if there is none"},
	{"key", KEY_STRING, offsetof(struct sqlite_config, rows.key),
	 .text = "the field and column that names a row: one that is there is replaced; without it rows are added, and "
		 "a table " SQLITE_DB_LEDGER " beside them keeps a run that is killed from adding some twice"},
	{"columns", KEY_STRINGS, offsetof(struct sqlite_config, rows.columns),
	 .text = "the fields to keep, a column each; without it the whole output is kept as JSON in the column 'item'"},
	{0},
};

static const struct sink_ops ops = {
	.open = open_sqlite,
	.write = write_sqlite,
	.close = close_sqlite,
	.exact = is_exact,
	.written = find_written,
};

const struct adapter sink_sqlite_adapter = {
	.kind = ADAPTER_SINK,
	.name = "sqlite",
	.text = "writes rows into an SQLite database, each batch a durable transaction; each row once, also when a "
		"run is killed and goes on",
	.keys = keys,
	.config_bytes = sizeof(struct sqlite_config),
	.check = check_config,
	.sink = &ops,
};
