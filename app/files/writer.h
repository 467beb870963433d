/* SPDX-License-Identifier: MIT */
/*
 * A sink that writes each output as a line, or several, to a file or another descriptor: what jsonl, csv and stdout
 * have in common.  The calls are those of the port (port/sink.h).
 *
 * A regular file is synced after each batch, and a batch that did not fit on the disk is cut off again, so that no line
 * is ever torn; of a run that can go on it is exact (files/output.h).  Pipes, sockets and terminals, and the standard
 * output whatever it is, are written as fast as they are read; they are at-least-once.
 *
 * What has a name that ends in .gz or .zst is packed, each batch a member or frame (files/compress.h).
 */
#ifndef SINK_WRITER_H
#define SINK_WRITER_H

#include "port/sink.h"

struct sink_writer_options {
	/* A file, made by start() if there is none (0644 less the umask), or whatever else the path names;
	 * "/dev/stdout" is the standard output as it stands.  Borrowed for the life of the sink. */
	const char *path;
	enum sink_on_start on_start;
	const struct sink_env *env;

	/* What stands once at the head, with its '\n': a file that has something else there is refused.  malloc'ed,
	 * taken over, also on failure; NULL: nothing. */
	char *head;

	/* Appends an output, with its '\n'.  On a thread.  WEIR_ENOMEM; WEIR_EDATA with why: it can never be written.
	 * NULL: as it is, as one line. */
	int (*add)(const void *arg, const struct value *output, struct buf *out, char why[200]);
	const void *arg; /* borrowed for the life of the sink */
};

/* A regular file is locked against a second writer (WEIR_EBUSY).  May suspend while a FIFO has no reader yet, 5 s at
 * most. */
int sink_writer_open(const struct sink_writer_options *opts, struct sink **ret_sink, struct weir_error *err);

int sink_writer_start(struct sink *sink, struct weir_error *err);
int sink_writer_write(struct sink *sink, struct sink_item *items, size_t n, struct weir_error *err, weir_nsec deadline);
int sink_writer_close(struct sink *sink, struct weir_error *err);
enum sink_exactness sink_writer_exactness(const struct sink *sink);
void sink_writer_position(const struct sink *sink, struct buf *out);

/* The port's table of such a sink. */
#define SINK_WRITER_OPS(open_fn, columns_fn, row_fn)                                                                   \
	{                                                                                                              \
		.columns = (columns_fn), .row = (row_fn), .open = (open_fn), .start = sink_writer_start,               \
		.write = sink_writer_write, .close = sink_writer_close, .exactness = sink_writer_exactness,            \
		.position = sink_writer_position, .batch_items = "2000", .ahead = SINK_NEXT_BATCH                      \
	}

#endif
