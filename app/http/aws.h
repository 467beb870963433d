/* SPDX-License-Identifier: MIT */
/* The keys with which requests are signed: those of the config, else those of the environment; or those of a profile or
 * a program, which change; and what AWS says of them. */
#ifndef HTTP_AWS_H
#define HTTP_AWS_H

#include "http/config.h"
#include "http/sigv4.h"
#include "http/token_source.h"

/* NULL: there is none. */
const char *http_aws_region(const struct step_http_aws *aws);
const char *http_aws_access_key(const struct step_http_aws *aws);
const char *http_aws_secret_key(const struct step_http_aws *aws);
const char *http_aws_session_token(const struct step_http_aws *aws);

/* ---- aws_keys.c: a token is "ACCESS_KEY SECRET_KEY [SESSION_TOKEN]" */

/* Of a config with a profile or a program.  WEIR_ENOMEM. */
int http_token_of_aws(const struct step_http_aws *aws, struct http_token_source *ret_source);

/* Takes such a text apart, in place; *keys borrows it. */
void http_aws_split(char *text, struct http_sigv4_keys *keys);

/* Where the file of credentials is, by the environment; malloc'ed; NULL: out of memory. */
char *http_aws_credentials_path(void);

/* The keys of a profile in the text of that file, which it takes apart; and those that a program has printed. */
void http_aws_read_profile(char *text, const char *profile, struct http_token_news *news);
void http_aws_read_process(const char *output, size_t n, struct http_token_news *news);

/* ---- aws_answer.c */

enum http_aws_trouble {
	HTTP_AWS_FINE,  /* nothing is wrong with the signature */
	HTTP_AWS_KEYS,  /* the keys have expired, or are not known */
	HTTP_AWS_CLOCK, /* the time in it is wrong */
};

/* Of a whole answer. */
enum http_aws_trouble http_aws_trouble_of(const struct http_response *response);

#endif
