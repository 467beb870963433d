/* SPDX-License-Identifier: MIT */
/*
 * Options of a verb, from a table: it is read from, and its help is printed from it.
 *
 * A row without a function fills a field of the verb's options: a `bool` that becomes true if it takes no value, a
 * `const char *` if it takes one, and a `uint64_t` if it has bounds.  --name VALUE and --name=VALUE are the same, and
 * so are -o VALUE and -oVALUE; -- ends the options, and -h is --help.  Options and words may be mixed.
 */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <weir/base.h>

struct cmd_option {
	const char *name;  /* "state", of --state; NULL: no option, only a line of the help */
	const char *value; /* "DIR"; NULL: it takes none; "[=WORD]": that or none, which is "" */
	const char *text;  /* of the help, wrapped where it is printed; a row of nothing else begins a part */
	size_t at;         /* offsetof the field */
	int (*set)(void *opts, const char *value, struct weir_error *err); /* instead of `at` */
	char letter;                                                       /* 'o': it is -o, too; 0: it has none */
	uint64_t least, most;                                              /* a whole number of that; most 0: a text */
};

struct cmd_usage {
	const char *verb;                 /* "run" */
	const char *forms;                /* what stands behind `weir run`; several, a line each */
	const char *about;                /* for --help; may be NULL, as the next */
	const struct cmd_option *options; /* ends with a row of zeros */
	const char *more;                 /* behind the options */
	void (*print_more)(void);         /* what stands in other tables */
};

/* Reads argv[1] and on into *opts.  What is no option is moved to the front of argv: *ret_words of them.  False when
 * that was all: help was printed, or what is wrong; *ret_exit is the exit code. */
bool cmd_options_read(const struct cmd_usage *usage, int argc, char **argv, void *opts, int *ret_words, int *ret_exit);

/* Wrong usage: says what, and where to look, on stderr.  Returns the exit code. */
int cmd_refuse(const struct cmd_usage *usage, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same of a word that is none of the names; it says what they are, and which is close. */
struct names;
int cmd_refuse_name(const struct cmd_usage *usage, const char *what, const char *word, const struct names *names);

#endif
