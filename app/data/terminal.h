/* SPDX-License-Identifier: MIT */
/*
 * Text from outside (items, answers of servers, names of files) on its way to a terminal or a log.  It may hold control
 * characters, which would move the cursor, set the title or answer for the user; they are made visible as \uXXXX.
 */
#ifndef DATA_TERMINAL_H
#define DATA_TERMINAL_H

#include "data/buf.h"

#include <stdio.h>

/* One text on a line, whatever is in it; a line end in it is made visible, too. */
void terminal_add(struct buf *out, const char *text);
void terminal_put(FILE *to, const char *text);
void terminal_put_bytes(FILE *to, const char *text, size_t n);

/* Lines that weir has made, with texts from outside in them: their ends stay. */
void terminal_put_lines(FILE *to, const char *text, size_t n);

/* JSON or YAML for other programs: as it is, unless a terminal reads it.  0, or a negative code when it cannot be
 * written. */
int terminal_put_exact(FILE *to, const char *text, size_t n);

/* What is behind a descriptor, and how it may be written to. */
struct terminal {
	bool is_one;
	bool obeys;   /* escape sequences: TERM is set, and not "dumb" */
	bool colours; /* … and NO_COLOR is not set */
	bool utf8;    /* the locale's characters, by LC_ALL, LC_CTYPE or LANG */
	size_t columns;
};
void terminal_look(int fd, struct terminal *ret_terminal);

/* This process may draw on it: it is in the terminal's foreground. */
bool terminal_is_ours(int fd);

enum terminal_ink { INK_NONE, INK_RED, INK_GREEN, INK_YELLOW, INK_DIM };

/* Appends a text in a colour, where there are colours.  The text is ours: nothing in it is made visible. */
void terminal_add_ink(struct buf *out, const struct terminal *terminal, enum terminal_ink ink, const char *text);

/* Appends as much of a text from outside as has room in so many columns, one line of it; "..." ends what was cut, and
 * without UTF-8 "?" stands for what is not ASCII.  Returns the columns taken. */
size_t terminal_add_cut(struct buf *out, const struct terminal *terminal, const char *text, size_t n, size_t columns);

/* How many bytes of a text in which all is visible have room in so many columns; at least one character. */
size_t terminal_take(const char *text, size_t n, size_t columns);

/* How many bytes of a text go on a line of so many columns: to the last blank that has room, if there is one. */
size_t terminal_fold(const char *text, size_t columns);

/* "WHO: TEXT" on the standard error, the text on one line. */
void terminal_complain(const char *who, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
