/* SPDX-License-Identifier: MIT */
/* Where tokens come from.  Each fills a source (token.h), which borrows the config. */
#ifndef HTTP_TOKEN_SOURCE_H
#define HTTP_TOKEN_SOURCE_H

#include "http/client.h"
#include "http/config.h"
#include "http/token.h"

/* token_file.c: a file, of which `first` was read when the config was.  A file that cannot be read stands for what was
 * read before.  WEIR_ENOMEM. */
int http_token_of_file(const char *path, const char *first, struct http_token_source *ret_source);

#endif
