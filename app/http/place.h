/* SPDX-License-Identifier: MIT */
/*
 * Files whose names come from items.  The template of such a path (TEMPLATE_PATH) begins with a folder that the user
 * names: what stands before its first hole, up to the last "/".  No item leads out of it: the template allows no ".."
 * in what it fills in, and here no symbolic link is followed below that folder.  Files block, so they belong on a
 * thread.
 */
#ifndef HTTP_PLACE_H
#define HTTP_PLACE_H

#include "data/template.h"

/* So many bytes of each path that the template makes are the folder; 0: the working directory. */
size_t http_place_folder(const struct template *path);

/* Whether that folder is there: 0, or WEIR_EINVAL with err->text, such as `the folder "out" does not exist`. */
int http_place_check(const struct template *path, struct weir_error *err);

/* Opens the folder in which the file lies, and says its name there, a part of `path`.  make: folders that are missing
 * below the user's are made, durably.  What the system says, with err->text: what is wrong with the path. */
int http_place_open(const char *path, size_t folder_bytes, bool make, int *ret_folder, const char **ret_name,
		    struct weir_error *err);

/* Runs it on a thread, on a fiber that waits for it.  What it returned, even if the fiber was cancelled meanwhile, for
 * then it is done; or WEIR_ECANCELED, WEIR_ETIMEDOUT, WEIR_ENOMEM. */
int http_place_call(int (*work)(void *arg), void *arg);

#endif
