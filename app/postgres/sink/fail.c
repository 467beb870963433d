/* SPDX-License-Identifier: MIT */
/* What the server says of a statement, and what to do about it. */
#include "postgres/sink/internal.h"

#include <string.h>

static void list_key(const struct postgres_sink *sink, struct buf *out)
{
	for (size_t i = 0; i < sink->config->rows.key.n; i++) {
		buf_add_str(out, i ? ", " : "");
		sql_put_name(out, sink->config->rows.key.values[i]);
	}
}

static void put_grant(const struct postgres_sink *sink, const char *text, struct buf *out)
{
	bool update = sink->config->rows.update;
	if (strstr(text, "sequence") || strstr(text, "schema") || strstr(text, "database"))
		buf_add_str(out, "; let its owner grant it (GRANT)");
	else if (strstr(text, SQL_LEDGER))
		buf_addf(out, "; grant it: GRANT SELECT, INSERT, UPDATE, DELETE ON %s, %s TO the user",
			 sink->ledger.table, sink->ledger.runs);
	else
		buf_addf(out, "; grant it: GRANT SELECT, %s ON %s TO the user",
			 update                     ? "UPDATE"
			 : sink->config->rows.key.n ? "INSERT, UPDATE"
						    : "INSERT",
			 sink->table.name);
}

static void put_advice(const struct postgres_sink *sink, const struct pg_error *why, struct buf *out)
{
	const char *state = why->state;
	if (strcmp(state, "42P10") == 0) {
		buf_addf(out, "; make it unique: CREATE UNIQUE INDEX ON %s (", sink->table.name);
		list_key(sink, out);
		buf_add_char(out, ')');
	} else if (strcmp(state, "42501") == 0) {
		put_grant(sink, why->text, out);
	} else if (strcmp(state, "42P05") == 0 || strncmp(state, "26", 2) == 0) {
		buf_add_str(out, "; the server is behind a pooler that hands out sessions by the transaction: set "
				 "`prepared: false`");
	} else if (strcmp(state, "55P03") == 0) {
		buf_add_str(out, "; another session has locked it, look at pg_stat_activity");
	} else if (strncmp(state, "42", 2) == 0) {
		buf_add_str(out, "; the table is not as it was when the run began: restore it, or change `table` and "
				 "`columns`");
	}
}

int postgres_sink_fail(const struct postgres_sink *sink, const struct pg_error *why, int code, struct weir_error *err)
{
	struct buf advice = {0};
	if (why->fault == PG_FINE || (why->fault == PG_OTHER && !*why->state))
		return weir_error_set(err, code, "%s: %s", pg_place(sink->pg), weir_strerror(code));
	if (why->fault == PG_AWAY || strncmp(why->text, "cannot connect", 14) == 0)
		return weir_error_set(err, code, "%s", why->text);
	buf_add_str(&advice, "");
	put_advice(sink, why, &advice);
	weir_error_set(err, code, "table %.63s at %.150s: %s%s", sink->config->rows.table, pg_place(sink->pg),
		       why->text, advice.failed ? "" : advice.data);
	buf_fini(&advice);
	return code;
}
