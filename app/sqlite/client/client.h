/* SPDX-License-Identifier: MIT */
/* Opening an SQLite database, and what its result codes mean to weir. */
#ifndef SQLITE_CLIENT_H
#define SQLITE_CLIENT_H

#include <weir/base.h>

struct sqlite3;

/* SQLITE_OPEN_... flags; path is that of a file, whatever it looks like: no URI, and ":memory:" is a file, too.  NULL
 * is a database in memory.  A handle belongs to one thread at a time.  Waits up to wait_ms for others' locks. */
int sqlite_client_open(const char *path, int flags, int wait_ms, struct sqlite3 **ret_handle, struct weir_error *err);

/* WEIR_EDATA, the row is to blame; WEIR_EBUSY, WEIR_ENOSPC, later perhaps; WEIR_ENOMEM; else WEIR_EIO. */
int sqlite_client_code(struct sqlite3 *handle, int rc);

#endif
