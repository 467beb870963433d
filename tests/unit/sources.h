/* SPDX-License-Identifier: MIT */
/* What the tests of sources have in common: a source is opened, gives what is expected, and is shut. */
#ifndef UNIT_SOURCES_H
#define UNIT_SOURCES_H

#include "port/adapters.h"

#define MIB ((size_t)1 << 20)

struct opened {
	const struct source_ops *ops;
	struct source *source;
	void *config; /* zeroed but for what was set */
};

/* The field of a key in the adapter's config. */
void *config_field(const struct adapter *adapter, void *config, const char *name);

struct opened open_with(const struct adapter *adapter, void *config); /* malloc'ed, taken over */
struct opened open_path(const struct adapter *adapter, const char *path);
struct opened open_bytes(const struct adapter *adapter, const char *bytes, size_t n); /* as a file of its own */
void shut(struct opened *opened);

const char *write_bytes(const char *name, const char *bytes, size_t n); /* the path of a file in test_folder() */

struct item *take(struct opened *opened, int verdict);
void expect_item(struct opened *opened, uint64_t position, const char *text);
void expect_bad(struct opened *opened, uint64_t position, const char *why); /* how the reason begins */
void expect_end(struct opened *opened);                                     /* and shuts it */

/* What it gives, so many items at most, until it ends or pauses: "position json" a line, "position !why" for what is
 * bad, "failed: why".  Lives as long as the test. */
const char *read_items(const struct source_ops *ops, struct source *source, size_t most);

char *repeat(char c, size_t n, const char *tail); /* malloc'ed */

/* The most memory since it was last reset. */
long peak_kib(void);
void reset_peak(void);

/* What a later run needs: malloc'ed identity, NULL if it cannot be read again; and the cursor. */
struct left {
	char *identity;
	struct source_cursor cursor;
};
struct left leave(struct opened *opened);             /* and shuts it */
void go_on(struct opened *opened, struct left *left); /* resume() has to succeed; frees what was left */
void expect_refused(struct opened *opened, const struct left *left, bool adopt, const char *text);

#endif
