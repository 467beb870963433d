/* SPDX-License-Identifier: MIT */
/* What the sinks of SQL databases are told of their rows: the keys that all of them have. */
#ifndef SQL_CONFIG_H
#define SQL_CONFIG_H

#include "port/key.h"

#define SQL_COLUMNS_MAX ((size_t)500)

struct sql_config {
	char *table;
	struct key_strings key;     /* the columns that identify a row; none: rows are added */
	struct key_columns columns; /* none: those of the table, and of a table to be made those of the first rows */
	bool alter;                 /* columns are added to a table that lacks them */
	bool update;                /* rows that are there are changed, by the key of the item's source */
	weir_nsec ledger_keep;      /* of rows without a key (ledger.h) */
};

/* Names are letters, digits and '_'; a type may have more words, a size and brackets.  WEIR_EINVAL with err->text and
 * the key to blame. */
int sql_config_check(const struct sql_config *config, const char **ret_key, struct weir_error *err);

/* Rows for a table of keys, of a sink whose config struct has a struct sql_config. */
#define SQL_KEYS(type, member)                                                                                         \
	{"columns",                                                                                                    \
	 KEY_COLUMNS,                                                                                                  \
	 offsetof(struct type, member.columns),                                                                        \
	 .fallback = "auto",                                                                                           \
	 .choices = "auto",                                                                                            \
	 .text = "The fields to keep, a column each: a list, or a map of fields to SQL types. With `auto` they are "   \
		 "the "                                                                                                \
		 "columns of the table; a table that does not exist gets those of the first 1,000 rows"},              \
		{"alter",                                                                                              \
		 KEY_BOOL,                                                                                             \
		 offsetof(struct type, member.alter),                                                                  \
		 .fallback = "false",                                                                                  \
		 .flags = KEY_PACE,                                                                                    \
		 .text = "Whether to add columns that the table lacks: those in `columns`, or with `auto` each field " \
			 "that comes"},                                                                                \
	{                                                                                                              \
		"update", KEY_BOOL, offsetof(struct type, member.update),                                              \
			.fallback = "false", .flags = KEY_UPDATES,                                                     \
			.text = "Whether to write into the rows that items came from: the fields of an output, into "  \
				"the row whose `key` is that of the item in the source"                                \
	}

/* One more for that table, of a sink that keeps a ledger; what: its text. */
#define SQL_LEDGER_KEY(type, member, what)                                                                             \
	{                                                                                                              \
		"ledger_keep", KEY_DURATION, offsetof(struct type, member.ledger_keep),                                \
			.fallback = "7d", .min = 3600 * WEIR_SEC, .max = 3650 * 86400 * WEIR_SEC, .flags = KEY_PACE,   \
			.text = what                                                                                   \
	}

#endif
