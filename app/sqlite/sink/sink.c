/* SPDX-License-Identifier: MIT */
/*
 * `sqlite: { path: orders.db, table: orders, key: id }`: outputs as rows, an upsert where there is a key.
 *
 * One thread owns the connection; batches, the parsing of their JSON included, run there.  A batch is a transaction
 * (batch.c), so once write() has returned its rows survive a power cut.  Its number and the ids of its items are
 * written with the rows (ledger.h): so each row is there once without a key, too, and a database or a state that is an
 * older copy is noticed.  Where other processes write, too, each item is claimed instead (claims.h).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <weir/weir.h>

#include "port/adapters.h"
#include "sqlite/sink/batch.h"
#include "sqlite/sink/past.h"
#include "sqlite/sink/row.h"

struct sqlite_job {
	struct sqlite_sink *sink;
	struct sink_item *items;
	size_t n;
	const struct sink_env *env;
	struct weir_error *err;
	int (*work)(struct sqlite_job *job);
	int result; /* of that, */
	bool done;  /* once it has run */
	bool more;  /* there was something to be cleared */
};

static int check_config(const void *any, const char **ret_key, struct weir_error *err)
{
	const struct sqlite_config *config = any;
	*ret_key = "table";
	if (strncasecmp(config->rows.table, "sqlite_", 7) == 0)
		return weir_error_set(err, WEIR_EINVAL,
				      "names that begin with 'sqlite_' belong to SQLite; choose another");
	return sql_config_check(&config->rows, ret_key, err);
}

static int write_on_thread(struct sqlite_job *job)
{
	return sqlite_batch_write(job->sink, job->items, job->n, job->err);
}

/* ---- opening, on the thread */

/* What the run has written, as the database knows it. */
static int read_past(struct sqlite_sink *sink, struct sqlite_past *past)
{
	bool is_noted;
	*past = (struct sqlite_past){.path = sink->config->path,
				     .table = sink->config->rows.table,
				     .has_database = sink->db,
				     .has_table = sink->db && sink->table.exists,
				     .noted = &sink->past};
	if (!sink->db)
		return 0;
	return sink->opts.claims ? sqlite_db_look_at_claims(sink->db, &is_noted, &past->has_claims)
				 : sqlite_db_noted(sink->db, &sink->past);
}

static int check_run(struct sqlite_sink *sink, const struct sink_env *env, struct weir_error *err)
{
	struct sqlite_past past;
	int code = read_past(sink, &past);
	if (code)
		return sqlite_sink_refuse(sink, err, code);
	sink->last = sink->past.batch;
	return env->adopt ? 0 : sqlite_past_check(&past, env->position, err);
}

/* Behind the look at the rows: those of a process that was faster come with the note (sql/ledger.h). */
static int has_begun(struct sqlite_sink *sink, const struct sink_env *env, bool *ret_has)
{
	bool has_items;
	*ret_has = sink->past.known || sqlite_past_position(env->position, &(struct ledger_batch){0});
	return sink->opts.claims ? sqlite_db_look_at_claims(sink->db, ret_has, &has_items) : 0;
}

/* Without a key rows that are there may be those of this very source: a run that begins must not add them again. */
static int check_rows(struct sqlite_sink *sink, const struct sink_env *env, struct weir_error *err)
{
	const struct sqlite_config *config = sink->config;
	bool has;
	if (!sink->db || !sql_ledger_is_needed(&config->rows) || config->on_start == SINK_APPEND ||
	    !sqlite_db_has_rows(sink->db))
		return 0;
	int code = has_begun(sink, env, &has);
	if (code)
		return sqlite_sink_refuse(sink, err, code);
	sink->opts.empties = !has && config->on_start == SINK_REPLACE;
	if (has || sink->opts.empties)
		return 0;
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
	return sqlite_db_start(&job->sink->opts, &job->sink->db, job->err);
}

static int note_on_thread(struct sqlite_job *job)
{
	return sqlite_db_note_run(job->sink->db);
}

static int clear_on_thread(struct sqlite_job *job)
{
	int64_t keep = job->sink->config->rows.ledger_keep / WEIR_SEC;
	return sqlite_db_clear(job->sink->db, keep, &job->more);
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
	sink->opts =
		(struct sqlite_db_options){.path = config->path,
					   .table = &sink->table,
					   .run = sink->run,
					   .claims = sink->run && env->shared && sql_ledger_is_needed(&config->rows)};
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

/* ---- writing */

static int note_run(void *sink, weir_nsec deadline)
{
	struct sqlite_job job = {.sink = sink};
	return call_thread(&job, note_on_thread, deadline);
}

static int clear_page(void *sink, bool *ret_more, weir_nsec deadline)
{
	struct sqlite_job job = {.sink = sink};
	int code = call_thread(&job, clear_on_thread, deadline);
	*ret_more = job.more;
	return code;
}

static int write_sqlite(struct sink *handle, struct sink_item *items, size_t n, struct weir_error *err,
			weir_nsec deadline)
{
	static const struct sql_ledger_ops upkeep = {.note = note_run, .clear = clear_page};
	struct sqlite_sink *sink = (struct sqlite_sink *)handle;
	struct sqlite_job job = {.sink = sink, .items = items, .n = n, .err = err};
	if (sink->failed.code)
		return weir_error_set(err, sink->failed.code, "%s", sink->failed.text);
	int code = call_thread(&job, write_on_thread, deadline);
	if (!code && sink->opts.claims)
		sql_ledger_tend(&sink->upkeep, &upkeep, sink, deadline);
	return code;
}

static enum sink_exactness exactness(const struct sink *handle)
{
	const struct sqlite_sink *sink = (const struct sqlite_sink *)handle;
	if (!sql_ledger_is_needed(&sink->config->rows))
		return SINK_BY_KEY;
	return sink->opts.claims ? SINK_BY_CLAIM : sink->run ? SINK_BY_LEDGER : SINK_REPEATS;
}

/* By key or claim. */
static bool is_exact_shared(const void *config)
{
	(void)config;
	return true;
}

static void write_position(const struct sink *handle, struct buf *out)
{
	const struct sqlite_sink *sink = (const struct sqlite_sink *)handle;
	if (sink->run && !sink->opts.claims)
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
		 "rows are added, and the table " SQL_LEDGER " prevents duplicates after a crash"},
	SQL_KEYS(sqlite_config, rows),
	SQL_LEDGER_KEY(
		sqlite_config, rows,
		"Without a key and with a broker that several processes share: how long after the end of a run its "
		"items stay in " SQL_LEDGER_ITEMS),
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
	.is_exact_shared = is_exact_shared,
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
