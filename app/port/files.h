/* SPDX-License-Identifier: MIT */
/*
 * The files of a run, and whether two of them are one.
 *
 * A file that is written must be nothing else: not the source, not the pipeline file, not a part of the state.  Two
 * paths are the same file when they lead to the same device and inode, so symbolic links, hard links and `..` hide
 * nothing.  A file that does not exist is known by its folder and its name.  Pipes, devices and folders never count.
 */
#ifndef PORT_FILES_H
#define PORT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <weir/base.h>

/* One use of a path. */
struct file_use {
	const char *path;  /* as it is opened */
	const char *what;  /* "the source"; a literal */
	const char *table; /* of a database: two uses of one database with different tables are fine; a text with
			    * blanks is a query, which uses all that it names; NULL: the file */
	bool database;     /* an SQLite database: its -wal, -shm and -journal belong to it */
	bool written;
	bool updates;     /* written, but only rows that are there: the table may be read, too */
	bool standard;    /* standard output or error, which may be one file */
	int line, column; /* in the pipeline file; 0: it does not stand there */
};

struct files {
	struct file_use *uses;
	size_t n;
};

/* Copies path and table.  WEIR_ENOMEM. */
int files_add(struct files *files, const struct file_use *use);
void files_fini(struct files *files);

/* WEIR_EINVAL with err's text, line and column when a file that is written is used twice; else 0 or WEIR_ENOMEM.
 * Opens and changes nothing; blocks for as long as stat() takes. */
int files_check(const struct files *files, struct weir_error *err);

#endif
