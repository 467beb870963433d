/* SPDX-License-Identifier: MIT */
/*
 * The files of a source: the one that a path names, or those that match its pattern, read one after the other as one.
 *
 * What a run knows of the files of a pattern is a line for each, in the order in which they are read:
 *
 *     file inode=11 size=22 head=22 crc=33333333 name=part-1.jsonl
 *
 * A later run reads the known ones in this order, then those that have appeared since.
 */
#ifndef SOURCE_FILES_H
#define SOURCE_FILES_H

#include "files/input.h"

struct source_entry {
	char *path;                /* NULL: the standard input */
	const char *name;          /* of a pattern: in its folder */
	struct source_known known; /* of a pattern: as it was when the files were looked up */
};

struct source_files {
	struct source_entry *all;
	size_t n;            /* 1 at least */
	const char *pattern; /* NULL: the path is none; borrowed */
};

/* How far an earlier run has come in the files of a pattern. */
struct source_reached {
	bool begun;
	size_t at;             /* the file it was in, in its order */
	uint64_t bytes_before; /* those of the files before */
};

/* path is borrowed, and may be NULL.  Of a pattern each file is opened and must be a regular one.  Failures with
 * err->text.  Suspends while a thread does that. */
int source_files_find(const char *path, struct source_files *ret_files, struct weir_error *err);
void source_files_fini(struct source_files *files);

void source_files_identify(const struct source_files *files, struct buf *identity); /* of a pattern */

/* Brings the files of a pattern into the order in which the run with this identity reads them.  WEIR_EINVAL with
 * err->text, which names the file, when one of the known files is gone, or is not what it was: its inode, its head, and
 * before the reached one its size.  adopt: as source_file_check(); files of which nothing was read may be any. */
int source_files_recall(struct source_files *files, const char *identity, const struct source_reached *reached,
			bool adopt, struct weir_error *err);

#endif
