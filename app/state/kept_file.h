/* SPDX-License-Identifier: MIT */
/* A small file in the state folder: read whole, written beside and renamed, so that a kill never leaves half a file. */
#ifndef STATE_KEPT_FILE_H
#define STATE_KEPT_FILE_H

#include "data/buf.h"
#include "data/json.h"

struct kept_file {
	char *path, *spare, *folder;
};

int kept_file_init(struct kept_file *file, const char *folder, const char *name); /* WEIR_ENOMEM */
void kept_file_fini(struct kept_file *file);

/* The JSON in it, the caller's; NULL if there is none, or no file. */
struct json *kept_file_read(const struct kept_file *file, bool *ret_absent);

/* On a thread, shielded; sync: it is durable when this returns.  A negative code: it is as it was. */
int kept_file_write(const struct kept_file *file, const struct buf *text, bool sync);

#endif
