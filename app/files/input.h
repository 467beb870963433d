/* SPDX-License-Identifier: MIT */
/*
 * What sources read from: a path or the standard input, opened; and, of a regular file, by what a later run knows it
 * again: the inode, and a checksum of its head as long as it was then, so that a file that grew still matches.  Not the
 * device: its number may be another one after a reboot.
 */
#ifndef SOURCE_FILE_H
#define SOURCE_FILE_H

#include "data/buf.h"
#include <weir/base.h>

/* By what a file is known. */
struct source_known {
	uint64_t inode, size;
	size_t head_bytes;
	uint32_t head_crc;
};

struct source_file {
	const char *name;   /* for messages: the path, borrowed */
	int fd;             /* -1: none */
	int flags;          /* to be put back at the end; -1: nothing to put back */
	bool unconnected;   /* a FIFO that may have had no writer yet: a read would take that for the end */
	bool regular;       /* the rest is only filled for such */
	uint64_t begin;     /* where reading begins: 0, or where the standard input stood */
	char first[4];      /* the bytes there, */
	size_t first_bytes; /* as far as there are so many */
	struct source_known known;
};

/* path is borrowed; NULL is the standard input.  -ENOENT and what else the system says, with err->text.  May block for
 * as long as it takes to open a file and read its first block.  *ret_file is to be closed whatever the answer. */
int source_file_open(const char *path, struct source_file *ret_file, struct weir_error *err);
void source_file_close(struct source_file *file);

void source_known_identify(const struct source_known *known, struct buf *identity);

/* Appends the identity of a regular file; false: it is none, and cannot be read again. */
bool source_file_identify(const struct source_file *file, struct buf *identity);

/* What an identity says, also one with a device, as earlier versions wrote it; false: it is none of a file. */
bool source_file_recall(const char *identity, struct source_known *ret_known);

/* Whether this is that file: 0, or WEIR_EINVAL with err->text, which says what is different and what can be done.
 * adopt: another inode with the same head will do. */
int source_file_check(const struct source_file *file, const struct source_known *was, bool adopt,
		      struct weir_error *err);

#endif
