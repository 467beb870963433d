/* SPDX-License-Identifier: MIT */
/*
 * `postgres: { url: "${env:DATABASE_URL}", table: orders, key: id }`: outputs as rows, typed by the server.
 *
 * One connection; a batch is a statement (batch.c), and two may be on their way.  What is wrong with the table is found
 * before the first item is read: the statement that will write is run without a row, in a transaction that is rolled
 * back.
 */
#include "postgres/sink/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <weir/weir.h>

#include "port/adapters.h"

/* ---- the config */

static int check_config(const void *any, const char **ret_key, struct weir_error *err)
{
	const struct postgres_config *config = any;
	struct weir_error doubt = {0};
	*ret_key = "url";
	int doubtful = pg_check_url(config->url, &doubt);
	if (doubtful < 0)
		return weir_error_set(err, doubtful, "%s", doubt.text);
	*ret_key = "schema";
	int code = config->schema ? sql_name_check("schema", config->schema, err) : 0;
	if (!code)
		code = sql_config_check(&config->rows, ret_key, err);
	if (code || !doubtful)
		return code;
	*ret_key = "url";
	weir_error_set(err, WEIR_EINVAL, "%s", doubt.text);
	return 1;
}

/* ---- opening: is what is there what this run has written? */

static int check_missing(const struct postgres_sink *sink, const struct sink_env *env, struct weir_error *err)
{
	const char *table = sink->config->rows.table;
	if (env->adopt || !sink->was || sink->was == sink->oid)
		return 0;
	return weir_error_set(
		err, WEIR_EINVAL,
		"table %s at %s %s, with the rows that this run has written; restore it, resume with --adopt, "
		"or start over with --fresh",
		table, pg_place(sink->pg), sink->oid ? "was created again" : "is missing");
}

static int has_rows(struct postgres_sink *sink, bool *ret_has, struct pg_error *why)
{
	struct buf sql = {0};
	struct pg_result *result = NULL;
	buf_addf(&sql, "SELECT EXISTS (SELECT FROM %s)", sink->table.name);
	struct pg_statement statement = {.sql = sql.data, .once = true};
	const struct postgres_question question = {.statement = &statement};
	int code = sql.failed ? WEIR_ENOMEM : postgres_batch_ask(sink, &question, &result, why);
	*ret_has = !code && *pg_text(result, 0, 0) == 't';
	pg_free(result);
	buf_fini(&sql);
	return code;
}

/* Without a key rows that are there may be those of this very source: a run that begins must not add them again. */
static int check_rows(struct postgres_sink *sink, const struct sink_env *env, struct weir_error *err)
{
	const struct postgres_config *config = sink->config;
	bool begins = !sink->ledger.known && !env->position, has = false;
	struct pg_error why = {0};
	if (!begins || !sink->table.exists || !postgres_sink_has_ledger(sink) || config->on_start == SINK_APPEND)
		return 0;
	int code = has_rows(sink, &has, &why);
	if (!code && has)
		code = postgres_ledger_look(sink, &why); /* they may be those of a process that was faster */
	if (code)
		return postgres_sink_fail(sink, &why, code, err);
	has = has && !sink->ledger.known;
	sink->replaces = has && config->on_start == SINK_REPLACE;
	if (!has || sink->replaces)
		return 0;
	return weir_error_set(
		err, WEIR_EINVAL,
		"table %.63s at %.150s has rows that this run has not written, and without a key rows may be "
		"duplicated; name a key or another table, or set on_start to append or replace",
		config->rows.table, pg_place(sink->pg));
}

/* The position of a run without a ledger that is known says that there was one. */
static int check_ledger(const struct postgres_sink *sink, const struct sink_env *env, struct weir_error *err)
{
	if (!sink->was || !sink->resumable || sink->ledger.known || env->adopt || !postgres_sink_has_ledger(sink))
		return 0;
	return weir_error_set(
		err, WEIR_EINVAL,
		"%s: table " SQL_LEDGER " in schema %s does not know this run: it was removed, or the run ended "
		"longer than `ledger_keep` ago; resume with --adopt, which may duplicate the rows of the last "
		"batch, or start over with --fresh",
		pg_place(sink->pg), sink->schema);
}

static int check_create(struct postgres_sink *sink, struct weir_error *err)
{
	struct pg_statement statement = {
		.sql = "SELECT has_schema_privilege($1, 'CREATE'), current_user", .parameters = 1, .once = true};
	struct pg_result *result = NULL;
	struct pg_error why;
	if (sink->table.exists)
		return 0;
	int code =
		pg_run(sink->pg, &statement, &(struct pg_value){sink->schema, 0, false}, &result, &why, WEIR_FOREVER);
	if (code)
		return postgres_sink_fail(sink, &why, code, err);
	if (*pg_text(result, 0, 0) != 't')
		code = weir_error_set(
			err, WEIR_EINVAL,
			"table %s does not exist, and may not be created in schema %s; create it, or grant it "
			"(GRANT CREATE ON SCHEMA \"%s\" TO \"%s\")",
			sink->config->rows.table, sink->schema, sink->schema, pg_text(result, 0, 1));
	pg_free(result);
	return code;
}

/* Of columns that are already known. */
static int rehearse(struct postgres_sink *sink, struct weir_error *err)
{
	if (!sink->table.exists || !sink->table.n)
		return 0;
	if (postgres_writer_prepare(sink))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	return postgres_batch_rehearse(sink, err);
}

static int look_at_table(struct postgres_sink *sink, struct weir_error *err)
{
	int code = postgres_columns_find_schema(sink, err);
	if (!code && sql_table_init(&sink->table, &sink->config->rows, sink->schema, &postgres_columns_ops))
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	sink->table.db = sink;
	if (!code)
		code = sql_table_open(&sink->table, err);
	return code ? code : check_create(sink, err);
}

static int open_all(struct postgres_sink *sink, const struct sink_env *env, struct weir_error *err)
{
	struct pg_error why = {0};
	int code = pg_connect(sink->pg, &why, WEIR_FOREVER);
	if (code)
		return postgres_sink_fail(sink, &why, code, err);
	code = look_at_table(sink, err);
	if (!code && postgres_sink_has_ledger(sink))
		code = postgres_ledger_open(sink, err);
	if (!code)
		code = check_missing(sink, env, err);
	if (!code)
		code = check_ledger(sink, env, err);
	if (!code)
		code = check_rows(sink, env, err);
	int rehearsed = code ? code : rehearse(sink, err);
	return !code && rehearsed == WEIR_ENOSPC ? 0 : rehearsed; /* start() meets the full disk again */
}

/* Of another sink the position is somebody else's. */
static void read_position(struct postgres_sink *sink, const struct value *position)
{
	if (position && sscanf(position->data, "postgres table=%" SCNd64, &sink->was) != 1)
		sink->was = 0;
}

static int init_sink(struct postgres_sink *sink, const struct postgres_config *config, const struct sink_env *env)
{
	unsigned char random[16];
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return -errno;
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(sink->run + 2 * i, 3, "%02x", random[i]);
	memcpy(&sink->random, random, sizeof sink->random);
	sink->config = config;
	sink->resumable = env->run;
	if (env->run)
		snprintf(sink->run, sizeof sink->run, "%s", env->run);
	sink->note = env->note;
	sink->arg = env->arg;
	read_position(sink, env->position);
	return 0;
}

static void tell_notes(struct postgres_sink *sink)
{
	struct buf *notes = &sink->table.notes;
	char *save = NULL;
	if (!notes->len)
		return;
	for (char *line = strtok_r(notes->data, "\n", &save); sink->note && line; line = strtok_r(NULL, "\n", &save))
		sink->note(sink->arg, line);
	buf_clear(notes);
}

static int close_postgres(struct sink *handle, struct weir_error *err)
{
	struct postgres_sink *sink = (struct postgres_sink *)handle;
	(void)err;
	pg_close(sink->pg);
	weir_sem_free(sink->turn);
	sql_table_fini(&sink->table);
	postgres_ledger_close(sink);
	buf_fini(&sink->writer.sql);
	buf_fini(&sink->writer.parameters[0]);
	buf_fini(&sink->writer.parameters[1]);
	free(sink->schema);
	free(sink);
	return 0;
}

static int open_postgres(const void *any, const struct sink_env *env, struct sink **ret_sink, struct weir_error *err)
{
	const struct postgres_config *config = any;
	const struct pg_options opts = {.url = config->url, .name = env->pipeline, .unprepared = !config->prepared};
	struct postgres_sink *sink = calloc(1, sizeof *sink);
	if (!sink)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = init_sink(sink, config, env);
	if (!code)
		code = weir_sem_new(1, &sink->turn);
	code = code ? weir_error_set(err, code, "%s", weir_strerror(code)) : pg_open(&opts, &sink->pg, err);
	if (!code)
		code = open_all(sink, env, err);
	if (code) {
		close_postgres((struct sink *)sink, NULL);
		return code;
	}
	tell_notes(sink);
	*ret_sink = (struct sink *)sink;
	return 0;
}

static int probe_postgres(struct sink *handle, struct buf *out, struct weir_error *err)
{
	const struct postgres_sink *sink = (const struct postgres_sink *)handle;
	(void)err;
	sql_table_probe(&sink->table, pg_place(sink->pg), out);
	if (postgres_sink_has_ledger(sink) && !sink->ledger.exists)
		buf_add_str(out, "; a run creates " SQL_LEDGER ", too");
	return 0;
}

/* ---- starting */

/* Of several processes that begin at a time the others wait for the first, and then find its note. */
static int empty(struct postgres_sink *sink, struct weir_error *err)
{
	struct buf sql = {0};
	struct pg_error why = {0};
	buf_addf(&sql, "TRUNCATE %s", sink->table.name);
	struct pg_value values[2];
	postgres_ledger_name(sink, values);
	const struct postgres_question question = {
		.statement = &sink->ledger.begin, .values = values, .keep = true, .next = sql.data};
	int code = sql.failed ? WEIR_ENOMEM : postgres_batch_ask(sink, &question, NULL, &why);
	buf_fini(&sql);
	sink->table.rows = code ? sink->table.rows : 0;
	return code ? postgres_sink_fail(sink, &why, code, err) : 0;
}

/* The run is noted when all else is done: from then on the rows that are there are its own. */
static int make_ready(struct postgres_sink *sink, struct weir_error *err)
{
	bool has_ledger = postgres_sink_has_ledger(sink);
	int code = has_ledger ? postgres_ledger_make(sink, err) : 0;
	if (!code)
		code = sql_table_start(&sink->table, err);
	if (!code)
		code = rehearse(sink, err);
	if (!code && sink->replaces)
		code = empty(sink, err);
	if (!code && has_ledger)
		code = postgres_ledger_note(sink, err);
	sink->ready = !code;
	return code;
}

/* A full disk is left to the first batch, which waits for room as all others do. */
static int start_postgres(struct sink *handle, struct weir_error *err)
{
	struct postgres_sink *sink = (struct postgres_sink *)handle;
	int code = make_ready(sink, err);
	tell_notes(sink);
	return code == WEIR_ENOSPC ? 0 : code;
}

/* ---- writing */

/* What start() could not do for want of room, in the turn of a batch. */
static int get_ready(struct postgres_sink *sink, struct weir_error *err, weir_nsec deadline)
{
	int code = weir_sem_acquire(sink->turn, 1, deadline);
	if (code)
		return weir_error_set(err, code, "%s", weir_strerror(code));
	if (!sink->ready)
		code = sql_table_open(&sink->table, err); /* some of it may have been made */
	if (!code && !sink->ready)
		code = make_ready(sink, err);
	weir_sem_release(sink->turn, 1);
	return code;
}

static int write_postgres(struct sink *handle, struct sink_item *items, size_t n, struct weir_error *err,
			  weir_nsec deadline)
{
	struct postgres_sink *sink = (struct postgres_sink *)handle;
	int code = sink->ready ? 0 : get_ready(sink, err, deadline);
	if (!code)
		code = postgres_batch_write(sink, items, n, err, deadline);
	tell_notes(sink);
	return code;
}

static enum sink_exactness exactness(const struct sink *handle)
{
	const struct postgres_sink *sink = (const struct postgres_sink *)handle;
	return !postgres_sink_has_ledger(sink) ? SINK_BY_KEY : sink->resumable ? SINK_BY_CLAIM : SINK_REPEATS;
}

/* By key or claim. */
static bool is_exact_shared(const void *config)
{
	(void)config;
	return true;
}

static void write_position(const struct sink *handle, struct buf *out)
{
	const struct postgres_sink *sink = (const struct postgres_sink *)handle;
	if (sink->resumable && (sink->ready || sink->was))
		buf_addf(out, "postgres table=%" PRId64, sink->ready ? sink->oid : sink->was);
}

static const struct key keys[] = {
	{"url", KEY_STRING, offsetof(struct postgres_config, url), .flags = KEY_REQUIRED,
	 .text = "The server: postgres://user@host:port/database, with every parameter of libpq behind a question "
		 "mark"},
	{"schema", KEY_STRING, offsetof(struct postgres_config, schema),
	 .text = "The schema of the table; default: the first in the search path that has it"},
	{"table", KEY_STRING, offsetof(struct postgres_config, rows.table), .flags = KEY_REQUIRED | KEY_TABLE,
	 .text = "The table; weir creates it if there is none"},
	{"key", KEY_STRINGS, offsetof(struct postgres_config, rows.key),
	 .text = "The fields and columns that identify a row: a row with the same values is replaced. Without it rows "
		 "are added, and the table " SQL_LEDGER " prevents duplicates after a crash"},
	SQL_KEYS(postgres_config, rows),
	{"prepared", KEY_BOOL, offsetof(struct postgres_config, prepared), .fallback = "true", .flags = KEY_PACE,
	 .text = "Whether to prepare statements; false for a pooler that hands out sessions by the transaction"},
	SQL_LEDGER_KEY(postgres_config, rows,
		       "Without a key: how long after the end of a run its items stay in " SQL_LEDGER),
	{"on_start", KEY_ENUM, offsetof(struct postgres_config, on_start), .fallback = "refuse", .flags = KEY_PACE,
	 .choices = SINK_ON_START_CHOICES,
	 .text = "What to do, without a key, if the table has rows when a run begins: refuse to run, append, or delete "
		 "them first (replace)"},
	{0},
};

static const struct key_strings *columns_of(const void *config)
{
	return &((const struct postgres_config *)config)->rows.columns.names;
}

static int show_row(const void *config, const struct value *output, struct buf *out, char why[200])
{
	return postgres_row_show(&((const struct postgres_config *)config)->rows, output, out, why);
}

static const struct sink_ops ops = {
	.columns = columns_of,
	.row = show_row,
	.open = open_postgres,
	.probe = probe_postgres,
	.start = start_postgres,
	.write = write_postgres,
	.ahead = SINK_ANY_BATCH,
	.close = close_postgres,
	.exactness = exactness,
	.is_exact_shared = is_exact_shared,
	.position = write_position,
};

const struct adapter sink_postgres_adapter = {
	.kind = ADAPTER_SINK,
	.name = "postgres",
	.text = "Writes rows into a PostgreSQL table, typed by the server, each batch a transaction; exactly one row "
		"per "
		"output, even after a crash",
	.keys = keys,
	.config_bytes = sizeof(struct postgres_config),
	.check = check_config,
	.sink = &ops,
};
