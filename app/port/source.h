/* SPDX-License-Identifier: MIT */
/* The port of sources: where items come from.  All calls on one fiber of the loop. */
#ifndef PORT_SOURCE_H
#define PORT_SOURCE_H

#include "data/buf.h"
#include "port/item.h"

struct source; /* a handle: each adapter casts it to its own struct */

/* Where reading continues, in words of the source, such as "offset=1234 line=56".  Empty: at the beginning. */
struct source_cursor {
	char text[192];
};

/* What next() found. */
enum source_verdict {
	SOURCE_END = 0,
	SOURCE_ITEM = 1,
	SOURCE_BAD = 2, /* not usable: item->why says why, item->source holds an excerpt (512 bytes at most) */
};

struct source_ops {
	/* Opens and checks.  config is borrowed for the life of the source; pipeline is the name of the pipeline, which
	 * a server shows beside the source's connections, or NULL.  WEIR_EINVAL: it can be read, but is not what the
	 * config says it is; err->text has the place in it.  WEIR_EAGAIN: the server is there, and has no time yet, as
	 * when it reads its data after a start. */
	int (*open)(const void *config, const char *pipeline, struct source **ret_source, struct weir_error *err);

	/* Of one that was just opened, or resumed, and is then closed: appends what there is to be read, for people,
	 * without a final stop.  May suspend.  NULL: there is nothing to say but its config. */
	int (*probe)(struct source *source, struct buf *out, struct weir_error *err);

	/* Fills source and position of a zeroed item (and why, if bad): a source_verdict, or a negative code when the
	 * source cannot be read, with err filled.  May suspend; WEIR_ECANCELED and WEIR_ETIMEDOUT lose nothing, the
	 * next call goes on.  WEIR_ETIMEDOUT may come before the deadline: what was given is to be accepted first.  A
	 * SOURCE_ITEM is valid JSON in valid UTF-8 of at most 1 MiB. */
	int (*next)(struct source *source, struct item *item, struct weir_error *err, weir_nsec deadline);

	/* Items in all, those before resume()'s cursor included, as far as can be told: exact (*ret_exact), estimated
	 * from what was read, or -1. */
	int64_t (*total)(const struct source *source, bool *ret_exact);

	/* What can be read again: appends an identity by which a later run knows that it reads the same thing (for a
	 * file its inode and a checksum of its head), and returns true.  False: it cannot be read again, as a
	 * pipe; a later run takes what comes then as new. */
	bool (*identify)(const struct source *source, struct buf *identity);

	/* Before the first next(), of a source that can be read again: goes to the cursor, also of a run that has read
	 * it to its end; next() then gives what was added since.  Suspends.  WEIR_EINVAL with err->text when what there
	 * is now is not what had that identity, does not reach to the cursor, or has other bytes before it.
	 * adopt: another file with the same head is taken for it (it was copied, or restored). */
	int (*resume)(struct source *source, const char *identity, const struct source_cursor *cursor, bool adopt,
		      struct weir_error *err);

	/* Where reading would go on behind the item that next() gave last. */
	void (*cursor)(const struct source *source, struct source_cursor *ret_cursor);

	/* Of a source that hands out each item to one reader alone, and keeps it until that one accepts it: all that
	 * next() has given is stored in a broker, with the cursor behind it.  Called before the first next(), too, and
	 * after resume(); who does not call it only looks, and takes nothing.  A broker that forgets does not do for
	 * such a source.  NULL: reading takes nothing.  0 or a negative code with err filled.  Suspends. */
	int (*accept)(struct source *source, struct weir_error *err, weir_nsec deadline);

	void (*close)(struct source *source);
};

#endif
