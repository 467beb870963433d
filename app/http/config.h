/* SPDX-License-Identifier: MIT */
/* The keys of the step `http`, and what the table cannot say. */
#ifndef STEP_HTTP_CONFIG_H
#define STEP_HTTP_CONFIG_H

#include "data/template.h"
#include "http/origin.h"
#include "port/key.h"

enum { STEP_HTTP_GET, STEP_HTTP_POST, STEP_HTTP_PUT, STEP_HTTP_PATCH, STEP_HTTP_DELETE, STEP_HTTP_HEAD };
enum { STEP_HTTP_JSON, STEP_HTTP_TEXT, STEP_HTTP_BYTES };
enum { STEP_HTTP_CLIENT_CREDENTIALS, STEP_HTTP_REFRESH_TOKEN };

struct step_http_config {
	struct template *url;
	int method;
	struct key_headers headers;
	struct template *body, *json; /* one of them at most */
	char *basic, *bearer;
	char *bearer_file; /* behind bearer: where it came from, to be read again; NULL */
	struct step_http_aws {
		char *service; /* NULL: requests are not signed */
		char *region, *access_key, *secret_key, *session_token;
	} aws;
	struct step_http_oauth2 {
		char *token_url; /* NULL: there is no such server */
		char *client_id, *client_secret, *scope, *audience, *refresh_token;
		int grant;
	} oauth2;
	struct key_strings exec;                       /* a program and its arguments; n is 0: none */
	weir_nsec ttl;                                 /* of what it says; 0: not known */
	weir_nsec timeout_connect, timeout_first_byte; /* 0: derived from the next one */
	weir_nsec timeout;
	char *tls_ca;
	int expect;
	bool record;
	char *into; /* NULL: the answer takes the item's place */
	struct key_counts ok;
	int64_t max_connections;
	char *label;
	uint64_t max_body;
};

extern const struct key step_http_keys[];
int step_http_check(const void *config, const char **ret_key, struct weir_error *err);

/* Whether scheme, host and port stand in the config: whatever an item holds, it cannot lead elsewhere.  NULL and where
 * that is, *ret_origin; NULL and a name of "" if the items say; or what is wrong with it. */
const char *step_http_fixed_origin(const struct template *url, struct http_origin *ret_origin);

/* auth.c: the keys under `auth`.  Their check looks at the headers, too. */
extern const struct key step_http_auth_keys[];
int step_http_check_auth(const struct step_http_config *config, const char **ret_key, struct weir_error *err);

/* What makes the body, NULL: it has none. */
const struct template *step_http_body(const struct step_http_config *config);

/* The header Content-Type, or NULL; and whether such a value of it means JSON. */
const struct key_header *step_http_content_type(const struct step_http_config *config);
bool step_http_is_json(const char *content_type);

#endif
