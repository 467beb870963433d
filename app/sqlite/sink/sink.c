/* SPDX-License-Identifier: MIT */
/*
 * `sqlite: { path: orders.db, table: orders, key: id }`: outputs as rows, an upsert where there is a key.
 *
 * One thread owns the connection; batches, the parsing of their JSON included, run there.  A batch is a transaction, so
 * once write() has returned its rows survive a power cut.  Its number and the ids of its items are written with the
 * rows (db.h has the ledger): so each row is there once without a key, too, and a database or a state that is an
 * older copy is noticed.
 *
 * A row that cannot be (a constraint, a type, no key) spoils only its item:
 *   - a statement that fails undoes itself, which is all there is to undo of an item with one output;
 *   - an item with several has a savepoint, and goes back to it;
 *   - a constraint or trigger that rolls the whole transaction back: the batch starts again without that item.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <weir/weir.h>

#include "port/adapters.h"
#include "sqlite/sink/past.h"
#include "sqlite/sink/row.h"

struct sqlite_config {
	char *path;
	struct sql_config rows;
	int on_start; /* enum sink_on_start */
};

struct sqlite_sink {
	const struct sqlite_config *config;
	struct weir_pool *pool; /* one thread; all below is touched there alone once the sink is open */
	char *run;              /* whose ledger is kept; NULL: no need */
	struct sqlite_db *db;   /* NULL: there is no database yet */
	struct sql_table table;
	void (*note)(void *arg, const char *text); /* of sink_env */
	void *arg;
	struct sqlite_db_options opts;
	struct ledger_batch last; /* that was written */
	struct ledger_entry past; /* the ledger's, of an earlier process of this run; its ids are for written() */
	uint64_t process;         /* a random number: of the batches of this process */
	bool replaces;            /* rows that are there, when it starts */
	struct weir_error failed; /* for good: what every further write answers */
};

struct sqlite_job {
	struct sqlite_sink *sink;
	struct sink_item *items;
	size_t n;
	const struct sink_env *env;
	struct weir_error *err;
	int (*work)(struct sqlite_job *job);
	int result; /* of that, */
	bool done;  /* once it has run */
};

static int check_config(const void *any, const char **ret_key, struct weir_error *err)
{
	const struct sqlite_config *config = any;
	*ret_key = "table";
	if (strncasecmp(config->rows.table, "sqlite_", 7) == 0)
		return weir_error_set(err, WEIR_EINVAL,
				      "names that begin with 'sqlite_' belong to SQLite; choose another");
	if (strcasecmp(config->rows.table, LEDGER_TABLE) == 0)
		return weir_error_set(err, WEIR_EINVAL,
				      "'" LEDGER_TABLE "' is reserved for weir's own ledger; choose another");
	return sql_config_check(&config->rows, ret_key, err);
}

static int refuse(const struct sqlite_sink *sink, struct weir_error *err, int code)
{
	return weir_error_set(err, code, "%s: %s", sink->config->path,
			      code == WEIR_ENOMEM ? "out of memory" : sqlite_db_why(sink->db));
}

/* ---- items, on the thread: 0; WEIR_EDATA with item->why; or another code, and the transaction cannot be */

static int write_item(struct sqlite_sink *sink, struct sink_item *item)
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

/* ---- batches, on the thread */

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
	if (!sink->run || !count_good(items, n))
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
		refuse(sink, why, code);
	if (sqlite_db_in_transaction(sink->db))
		sqlite_db_do(sink->db, SQLITE_DB_ROLLBACK);
	sql_table_end(&sink->table, false, 0);
	if (code == WEIR_EIO)
		sink->failed = *why;
	return weir_error_set(err, code, "%s", why->text);
}

static int write_batch(struct sqlite_sink *sink, struct sink_item *items, size_t n, struct weir_error *err)
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

static int write_on_thread(struct sqlite_job *job)
{
	return write_batch(job->sink, job->items, job->n, job->err);
}

/* ---- opening, on the thread */

static int check_run(struct sqlite_sink *sink, const struct sink_env *env, struct weir_error *err)
{
	int code = sink->db ? sqlite_db_noted(sink->db, &sink->past) : 0;
	if (code)
		return refuse(sink, err, code);
	sink->last = sink->past.batch;
	const struct sqlite_past past = {.path = sink->config->path,
					 .table = sink->config->rows.table,
					 .has_database = sink->db,
					 .has_table = sink->db && sink->table.exists,
					 .noted = &sink->past};
	return env->adopt ? 0 : sqlite_past_check(&past, env->position, err);
}

/* Without a key rows that are there may be those of this very source: a run that begins must not add them again. */
static int check_rows(struct sqlite_sink *sink, const struct sink_env *env, struct weir_error *err)
{
	const struct sqlite_config *config = sink->config;
	bool begins = !sink->past.known && !sqlite_past_position(env->position, &(struct ledger_batch){0});
	if (!begins || !sink->db || config->rows.key.n || config->on_start == SINK_APPEND ||
	    !sqlite_db_has_rows(sink->db))
		return 0;
	if (config->on_start == SINK_REPLACE) {
		sink->replaces = true;
		return 0;
	}
	return weir_error_set(err, WEIR_EINVAL,
			      "table %.60s in %.150s has rows that this run has not written, and without a key rows "
			      "may be duplicated; name a key or another table, or set on_start to append or replace",
			      config->rows.table, config->path);
}

static int open_on_thread(struct sqlite_job *job)
{
	struct sqlite_sink *sink = job->sink;
	int code = sqlite_db_open(&sink->opts, &sink->db, job->err);
	if (!code && sink->run)
		code = check_run(sink, job->env, job->err);
	return code ? code : check_rows(sink, job->env, job->err);
}

static int start_on_thread(struct sqlite_job *job)
{
	int code = sqlite_db_start(&job->sink->opts, &job->sink->db, job->err);
	bool empties = !code && job->sink->replaces;
	return empties && sqlite_db_empty(job->sink->db) ? refuse(job->sink, job->err, WEIR_EIO) : code;
}

static int close_on_thread(struct sqlite_job *job)
{
	sqlite_db_close(job->sink->db);
	return 0;
}

/* ---- the port, on the fiber */

static int run_job(void *arg)
{
	struct sqlite_job *job = arg;
	job->result = job->work(job);
	job->done = true;
	return 0;
}

static void tell_notes(struct sqlite_sink *sink)
{
	struct buf *notes = &sink->table.notes;
	char *save = NULL;
	for (char *line = strtok_r(notes->data, "\n", &save); sink->note && line; line = strtok_r(NULL, "\n", &save))
		sink->note(sink->arg, line);
	buf_clear(notes);
}

/* What the thread has done is done, even if the fiber was cancelled meanwhile. */
static int call_thread(struct sqlite_job *job, int (*work)(struct sqlite_job *job), weir_nsec deadline)
{
	job->work = work;
	int code = weir_pool_call(job->sink->pool, run_job, job, deadline);
	if (job->done && job->sink->table.notes.len)
		tell_notes(job->sink);
	if (job->done)
		return job->result;
	return weir_error_set(job->err, code, "%s: %s", job->sink->config->path, weir_strerror(code));
}

static int close_sqlite(struct sink *handle, struct weir_error *err)
{
	struct sqlite_sink *sink = (struct sqlite_sink *)handle;
	struct sqlite_job job = {.sink = sink, .err = err};
	int code = 0;
	if (sink->pool) {
		weir_shield_enter();
		code = call_thread(&job, close_on_thread, WEIR_FOREVER);
		weir_shield_leave();
	}
	weir_pool_free(sink->pool);
	sql_table_fini(&sink->table);
	free(sink->past.ids);
	free(sink->run);
	free(sink);
	return code;
}

static int init_sink(struct sqlite_sink *sink, const struct sqlite_config *config, const struct sink_env *env)
{
	sink->config = config;
	if (getrandom(&sink->process, sizeof sink->process, 0) != sizeof sink->process)
		return -errno;
	if (env->run && !(sink->run = strdup(env->run)))
		return WEIR_ENOMEM;
	sink->opts = (struct sqlite_db_options){config->path, &sink->table, sink->run};
	sink->note = env->note;
	sink->arg = env->arg;
	int code = sql_table_init(&sink->table, &config->rows, NULL, &sqlite_columns_ops);
	return code ? code : weir_pool_new(1, &sink->pool);
}

static int open_sqlite(const void *config, const struct sink_env *env, struct sink **ret_sink, struct weir_error *err)
{
	struct sqlite_sink *sink = calloc(1, sizeof *sink);
	struct sqlite_job job = {.sink = sink, .env = env, .err = err};
	if (!sink)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = init_sink(sink, config, env);
	code = code ? weir_error_set(err, code, "%s", weir_strerror(code))
		    : call_thread(&job, open_on_thread, WEIR_FOREVER);
	if (code) {
		close_sqlite((struct sink *)sink, NULL);
		return code;
	}
	*ret_sink = (struct sink *)sink;
	return 0;
}

static int probe_sqlite(struct sink *handle, struct buf *out, struct weir_error *err)
{
	const struct sqlite_sink *sink = (const struct sqlite_sink *)handle;
	(void)err;
	sql_table_probe(&sink->table, sink->config->path, out);
	return 0;
}

static int start_sqlite(struct sink *handle, struct weir_error *err)
{
	struct sqlite_sink *sink = (struct sqlite_sink *)handle;
	struct sqlite_job job = {.sink = sink, .err = err};
	return call_thread(&job, start_on_thread, WEIR_FOREVER);
}

static int write_sqlite(struct sink *handle, struct sink_item *items, size_t n, struct weir_error *err,
			weir_nsec deadline)
{
	struct sqlite_sink *sink = (struct sqlite_sink *)handle;
	struct sqlite_job job = {.sink = sink, .items = items, .n = n, .err = err};
	if (sink->failed.code)
		return weir_error_set(err, sink->failed.code, "%s", sink->failed.text);
	return call_thread(&job, write_on_thread, deadline);
}

static enum sink_exactness exactness(const struct sink *handle)
{
	const struct sqlite_sink *sink = (const struct sqlite_sink *)handle;
	return sink->config->rows.key.n ? SINK_BY_KEY : sink->run ? SINK_BY_LEDGER : SINK_REPEATS;
}

static void write_position(const struct sink *handle, struct buf *out)
{
	const struct sqlite_sink *sink = (const struct sqlite_sink *)handle;
	if (sink->run)
		buf_addf(out, "sqlite batch=%" PRIu64 " process=%" PRIx64, sink->last.number, sink->last.process);
}

static int take_written(struct sink *handle, uint64_t **ret_ids, size_t *ret_n, struct weir_error *err,
			weir_nsec deadline)
{
	struct sqlite_sink *sink = (struct sqlite_sink *)handle;
	(void)err;
	(void)deadline;
	*ret_ids = sink->past.ids;
	*ret_n = sink->past.n;
	sink->past.ids = NULL;
	sink->past.n = 0;
	return 0;
}

static const struct key keys[] = {
	{"path", KEY_PATH_OUT, offsetof(struct sqlite_config, path), .flags = KEY_REQUIRED | KEY_DATABASE,
	 .text = "The database file; weir creates it if there is none"},
	{"table", KEY_STRING, offsetof(struct sqlite_config, rows.table), .flags = KEY_REQUIRED | KEY_TABLE,
	 .text = "The table; weir creates it if there is none"},
	{"key", KEY_STRINGS, offsetof(struct sqlite_config, rows.key), .flags = KEY_WAS_STRING,
	 .text = "The field, or fields, and column that identify a row: a row with the same value is replaced. Without "
		 "it "
		 "rows are added, and the table " LEDGER_TABLE " prevents duplicates after a crash"},
	SQL_KEYS(sqlite_config, rows),
	{"on_start", KEY_ENUM, offsetof(struct sqlite_config, on_start), .fallback = "refuse", .flags = KEY_PACE,
	 .choices = SINK_ON_START_CHOICES,
	 .text = "What to do, without a key, if the table has rows when a run begins: refuse to run, append, or delete "
		 "them first (replace)"},
	{0},
};

static const struct key_strings *columns_of(const void *config)
{
	return &((const struct sqlite_config *)config)->rows.columns.names;
}

static int show_row(const void *config, const struct value *output, struct buf *out, char why[200])
{
	return sqlite_row_show(&((const struct sqlite_config *)config)->rows, output, out, why);
}

static const struct sink_ops ops = {
	.columns = columns_of,
	.row = show_row,
	.open = open_sqlite,
	.probe = probe_sqlite,
	.start = start_sqlite,
	.write = write_sqlite,
	.close = close_sqlite,
	.exactness = exactness,
	.position = write_position,
	.written = take_written,
};

const struct adapter sink_sqlite_adapter = {
	.kind = ADAPTER_SINK,
	.name = "sqlite",
	.text = "Writes rows into an SQLite database, each batch a durable transaction; exactly one row per output, "
		"even after a crash",
	.keys = keys,
	.config_bytes = sizeof(struct sqlite_config),
	.check = check_config,
	.sink = &ops,
};
