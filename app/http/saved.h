/* SPDX-License-Identifier: MIT */
/*
 * The body of an answer as a file.  It is written under another name in the same folder, ".weir-NUMBER.part", synced,
 * and then gets its own name: a reader of that sees all of it, or what was there before.
 *
 * A file that exists is not replaced, unless
 *
 *     it was written for the same item in the same run    a process that was killed before the item was settled has
 *                                                         left it: its attribute user.weir has the mark of the item
 *     it has the same content                             nothing would change
 *     the config says so
 *
 * The other name comes from the mark, too: what a killed process has left is found, and removed, by the item's next
 * attempt.  Two processes with the same mark there are not.
 *
 * All functions run on a fiber; files are written, decoded and synced on a thread.
 */
#ifndef HTTP_SAVED_H
#define HTTP_SAVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/base.h>

struct http_saved;

struct http_saved_options { /* copied */
	const char *path;
	size_t folder_bytes; /* of the path: the folder that the user names (place.h) */
	const char *mark;    /* of the item */
	uint64_t most;       /* bytes of the file */
	bool replaces;       /* whatever is there */
	bool is_trial;       /* all is done, and then the file is removed instead of getting its name */
};

/* Touches no file.  WEIR_ENOMEM. */
int http_saved_new(const struct http_saved_options *opts, struct http_saved **ret_saved);

/* Appends what these bytes stand for in that Content-Encoding ("": themselves), that of the first call.  0;
 * WEIR_ECANCELED, WEIR_ETIMEDOUT; or http_saved_wrong() says what is wrong:
 *
 *     WEIR_ENOSPC          there is no room; with n 0 it may be tried again where it stopped
 *     -E2BIG               more than opts.most ("body"), or HTTP_RATIO times what came ("ratio")
 *     WEIR_EDATA           the body is damaged
 *     WEIR_ENOMEM, others  what the system says */
int http_saved_write(struct http_saved *saved, const char *encoding, const char *bytes, size_t n);

/* That was all: the file gets its name, and is durable.  Fails as http_saved_write() does, and with -EEXIST. */
int http_saved_finish(struct http_saved *saved);

/* Of the last failure: one line. */
const char *http_saved_wrong(const struct http_saved *saved);

/* Of one that is finished. */
const char *http_saved_path(const struct http_saved *saved);
uint64_t http_saved_bytes(const struct http_saved *saved);
const char *http_saved_sha256(const struct http_saved *saved); /* 64 digits; NULL: it is not finished */

/* Removes what was written, unless it is finished; `sweeps`: also what a killed process has left.  Shielded.  NULL is
 * fine. */
void http_saved_free(struct http_saved *saved, bool sweeps);

#endif
