/* SPDX-License-Identifier: MIT */
/*
 * The table of config keys.  Each adapter owns rows that say what a key is called, what it may be and where in the
 * adapter's config struct it goes.  The parser, `weir check`, `--explain`, `weir list` and docs/pipeline.md all come
 * from these rows; nothing else knows a key.
 *
 * A config struct is zeroed, filled from the defaults and the file, then handed (borrowed, immutable) to open().
 * To add a key: one row and one field.
 */
#ifndef PORT_KEY_H
#define PORT_KEY_H

#include <stddef.h>
#include <stdint.h>
#include <weir/base.h>

enum key_type {               /* written as            field in the config struct */
		KEY_STRING,   /* text                  char *, NULL if absent */
		KEY_TEMPLATE, /* text with ${.path}    struct template * */
		KEY_JSON, /* a map or a list, whose texts are templates: the text of a JSON document; or a text, which
			     is a jq program               struct key_json */
		KEY_URL,  /* http(s) URL, with ${.path}; must start with http:// or https:// unless a hole is the whole
			     value                 struct template * (TEMPLATE_URL) */
		KEY_PATH, /* path of a file for each item, with ${.path}; relative to the config file
						struct key_path */
		KEY_PATH_IN,   /* path of a file that must exist and be readable; relative to the config file
							char *, made absolute or relative to the working directory */
		KEY_PATH_OUT,  /* path whose folder must exist            char * */
		KEY_JQ,        /* a jq program, checked by compiling it   char * */
		KEY_DURATION,  /* 10s 200ms 5m 1h 2d 100us                weir_nsec */
		KEY_WAIT,      /* a duration, or a jq program that gives seconds   struct key_wait */
		KEY_DURATIONS, /* a duration or a range of two: 200ms..30s   weir_nsec[2] */
		KEY_SIZE,      /* bytes: 512, 64KiB 10MiB 1GiB, 64KB 10MB    uint64_t */
		KEY_COUNT,     /* whole number, min..max; or the word in `choices`, which is 0    int64_t */
		KEY_RATE,      /* 1000/s 60/m 5000/h 3/10s                   struct key_rate */
		KEY_FIELD,     /* a path into the item: .customer.id         char * */
		KEY_PERCENT,   /* 50% or 0.5; 0 to 1                         double */
		KEY_BOOL,      /* true, false                                bool */
		KEY_ENUM,      /* one of `choices`, its index                int */
		KEY_RANGE,     /* 1-1000 or 1..1000, whole numbers           int64_t[2] */
		KEY_COUNTS,    /* a list of whole numbers, min..max          struct key_counts */
		KEY_STRINGS,   /* a list of texts, or one                    struct key_strings */
		KEY_HEADERS,   /* a map of name to template; names are header tokens, values TEMPLATE_HEADER   struct
				  key_headers */
		KEY_COLUMNS,   /* a list of names, a map of names to types, or the word in `choices`, which is no
				  name             struct key_columns */
		KEY_TIMES,     /* a map of whole numbers, min..max, to durations: { 0: 2s }   struct key_times */
		KEY_LIST,      /* a list of maps of keys, `group`, each of which fills `element_bytes`   struct key_list
				*/
		KEY_GROUP,     /* a map of keys, `group`; its fields lie in the same struct, offsets from its
				  start.  Or the word in `choices`, then the bool at its own offset is set; or a plain value
				  for its key `shorthand`, whose default is then that of the group */
};

/* So many in so much time. */
struct key_rate {
	uint64_t count; /* 0: not set */
	weir_nsec period;
};
struct key_counts {
	int64_t *values;
	size_t n;
};
struct key_strings {
	char **values;
	size_t n;
};
struct key_columns {
	struct key_strings names;
	char **types; /* of each name; NULL: none were given */
};
struct key_headers {
	struct key_header {
		char *name;
		struct template *value;
	} * headers;
	size_t n;
};

struct key_times {
	struct key_time {
		int64_t number;
		weir_nsec time;
	} * times;
	size_t n;
};

struct key_path {
	struct template *template; /* TEMPLATE_PATH, from the working directory; NULL if absent */
	size_t added;              /* of what it makes: so many bytes, at the beginning, were not written */
};

struct key_json {
	struct template *template; /* one of them, or none */
	char *program;
};

struct key_wait {
	char *program; /* NULL: */
	weir_nsec time;
};

struct key_list {
	void *elements;
	size_t n;
};

enum key_flags {
	KEY_REQUIRED = 1u << 0,
	KEY_SECRET =
		1u
		<< 1, /* --explain shows *** ; it does so, too, for every value that came from ${env:X} or ${file:X} */
	KEY_DATABASE = 1u << 2, /* of a path: an SQLite database, which keeps more files beside it */
	KEY_TABLE = 1u << 3,    /* names the table in the database of the same adapter, or is a query there */
	KEY_PATTERN = 1u << 4,  /* of KEY_PATH_IN: a pattern for files will do, too (data/pattern.h) */
	/* Changes nothing of what is done to an item: how fast, within which limits, or what happens before the first
	 * one.  A run may resume with another value (spec/meaning.h).  Of a group: of all its keys */
	KEY_PACE = 1u << 5,
	KEY_INNER = 1u << 6, /* of KEY_JQ: an expression, which becomes a part of a larger program */
	/* Of KEY_STRING: where the value is one ${file:PATH} and nothing else, the char * behind the field is the path,
	 * for who reads it again; else NULL */
	KEY_KEEP_FILE = 1u << 7,
	/* Of KEY_STRINGS: was a KEY_STRING in an earlier release; states have a single text as that. */
	KEY_WAS_STRING = 1u << 8,
	KEY_UPDATES = 1u << 9, /* of KEY_BOOL: only rows that are there are written */
};

struct key {
	const char *name; /* NULL ends a table */
	enum key_type type;
	size_t offset;        /* offsetof(struct …_config, field) */
	const char *fallback; /* the default, written as in a config file; NULL: none (field stays zero) */
	/* of KEY_COUNT, KEY_COUNTS, KEY_TIMES, KEY_SIZE (bytes) and KEY_DURATION (ns); both 0: any not negative */
	int64_t min, max;
	const char
		*choices; /* of KEY_ENUM: "json|text|bytes"; of KEY_COUNT, KEY_COLUMNS, KEY_GROUP: one word, or NULL */
	const struct key *group; /* of KEY_GROUP, KEY_LIST */
	size_t element_bytes;    /* of KEY_LIST */
	const char *shorthand;   /* of KEY_GROUP: the key in it that a plain value stands for; NULL: there is none */
	unsigned flags;
	const char *text; /* what it does, one sentence without a final stop */
};

#endif
