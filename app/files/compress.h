/* SPDX-License-Identifier: MIT */
/*
 * A file whose name ends in .gz or .zst: each batch is a gzip member or zstd frame of it.  So the place behind a batch
 * is one between two members, and a file that is cut back to it is whole (files/output.h).
 */
#ifndef SINK_COMPRESS_H
#define SINK_COMPRESS_H

#include "codec/codec.h"
#include "files/output.h"

/* The text in a packed file. */
struct sink_packed {
	bool empty;
	bool has_head; /* it begins with the head that was asked for */
	bool mid_line; /* it does not end a line; of a file that was not looked at to its end false */
};

/* Unpacks what is in the file up to the place where it is to be continued: all of it, to see whether rows may follow,
 * or its beginning.  head may be NULL. WEIR_EINVAL with err->text if it is not packed, damaged, or, looking at all,
 * does not end with a whole member; or what reading answers.  Blocks: on a thread. */
int sink_compress_look(const struct sink_file *file, enum codec codec, const char *head, bool all,
		       struct sink_packed *ret_packed, struct weir_error *err);

/* Puts a member or frame in the place of the text; spare is a buffer to use.  WEIR_ENOMEM. */
int sink_compress_text(enum codec codec, struct buf *text, struct buf *spare);

#endif
