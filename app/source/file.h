/* SPDX-License-Identifier: MIT */
/*
 * What sources read from: a path or the standard input, opened; and, of a regular file, by what a later run knows it
 * again: device, inode, and a checksum of its head as long as it was then, so that a file that grew still matches.
 */
#ifndef SOURCE_FILE_H
#define SOURCE_FILE_H

#include "port/buf.h"
#include <sys/types.h>
#include <weir/base.h>

struct source_file {
	const char *name; /* for messages: the path, borrowed */
	int fd;           /* -1: none */
	int flags;        /* to be put back at the end; -1: nothing to put back */
	bool unconnected; /* a FIFO that may have had no writer yet: a read would take that for the end */
	bool regular;     /* the rest is only filled for such */
	uint64_t begin;   /* where reading begins: 0, or where the standard input stood */
	uint64_t size;    /* when it was opened */
	dev_t device;
	ino_t inode;
	size_t head_bytes;
	uint32_t head_crc;
};

/* path is borrowed; NULL is the standard input.  -ENOENT and what else the system says, with err->text.  May block for
 * as long as it takes to open a file and read its first block.  *ret_file is to be closed whatever the answer. */
int source_file_open(const char *path, struct source_file *ret_file, struct weir_error *err);
void source_file_close(struct source_file *file);

/* Appends the identity of a regular file; false: it is none, and cannot be read again. */
bool source_file_identify(const struct source_file *file, struct buf *identity);

/* Whether this is what had that identity, and reaches to the offset: 0, or WEIR_EINVAL with err->text, which says what
 * is different and what can be done.  adopt: another inode with the same head will do. */
int source_file_check(const struct source_file *file, const char *identity, uint64_t offset, bool adopt,
		      struct weir_error *err);

#endif
