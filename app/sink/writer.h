/* SPDX-License-Identifier: MIT */
/*
 * A sink that writes each output as a line to a descriptor: what jsonl and stdout have in common.  The calls are those
 * of the port (port/sink.h).
 *
 * A regular file is synced after each batch, and a batch that did not fit on the disk is cut off again, so that no line
 * is ever torn.  Pipes, sockets and terminals are written as fast as they are read; they are at-least-once.
 */
#ifndef SINK_WRITER_H
#define SINK_WRITER_H

#include "port/sink.h"

/* Opens or makes a file (0644 less the umask) or whatever else the path names; "/dev/stdout" is the standard output as
 * it stands.  A regular file is locked against a second writer (WEIR_EBUSY) and, unless append, emptied.  path is
 * borrowed for the life of the sink.  May suspend while a FIFO has no reader yet, 5 s at most. */
int sink_writer_open(const char *path, bool append, struct sink **ret_sink, struct weir_error *err);

/* Writes to a descriptor that stays the caller's, 1 or 2, from where it stands. */
int sink_writer_open_fd(int fd, struct sink **ret_sink, struct weir_error *err);

int sink_writer_write(struct sink *sink, struct sink_item *items, size_t n, struct weir_error *err, weir_nsec deadline);
int sink_writer_close(struct sink *sink, struct weir_error *err);

#endif
