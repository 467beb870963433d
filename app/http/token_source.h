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

/* What stands in such a file, without the line's end after it, malloc'ed; NULL: nothing, or it cannot be read.  Read
 * on a thread. */
char *http_token_read_file(const char *path, weir_nsec deadline);

/* exec.c: a program with its arguments; life of what it prints, 0: not known; read: what is in its output, NULL: the
 * token is its first line.  WEIR_ENOMEM. */
int http_token_of_program(const struct key_strings *exec, weir_nsec life,
			  void (*read)(const char *output, size_t n, struct http_token_news *news),
			  struct http_token_source *ret_source);

/* oauth2.c: the token endpoint of an OAuth2 server.  client: its time limits and certificates.  Errors of
 * http_client_new(). */
int http_token_of_oauth2(const struct step_http_oauth2 *config, const struct http_client_options *client,
			 struct http_token_source *ret_source);

/* What the answer of such an endpoint says: *news, and in *ret_error what it calls wrong ("invalid_client"), cut, or
 * "".  *ret_refresh_token: a new one, malloc'ed, or NULL. */
void http_oauth2_read(const struct step_http_oauth2 *config, const struct http_response *response,
		      struct http_token_news *news, char ret_error[40], char **ret_refresh_token);

#endif
