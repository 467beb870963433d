/* SPDX-License-Identifier: MIT */
/* The keys of the step `http`, and what the table cannot say. */
#ifndef STEP_HTTP_CONFIG_H
#define STEP_HTTP_CONFIG_H

#include "data/template.h"
#include "http/origin.h"
#include "port/key.h"

enum { STEP_HTTP_GET, STEP_HTTP_POST, STEP_HTTP_PUT, STEP_HTTP_PATCH, STEP_HTTP_DELETE, STEP_HTTP_HEAD };
enum { STEP_HTTP_JSON, STEP_HTTP_TEXT, STEP_HTTP_BYTES };

struct step_http_config {
	struct template *url;
	int method;
	struct key_headers headers;
	struct template *body, *json; /* one of them at most */
	char *basic, *bearer;
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

/* What makes the body, NULL: it has none. */
const struct template *step_http_body(const struct step_http_config *config);

/* The header Content-Type, or NULL; and whether such a value of it means JSON. */
const struct key_header *step_http_content_type(const struct step_http_config *config);
bool step_http_is_json(const char *content_type);

/* Whether its requests carry the idempotency key: those of a method that is not idempotent, unless `headers` has that
 * header.  And whether a header is that one and empty: then it is not sent. */
#define STEP_HTTP_KEY "Idempotency-Key"
bool step_http_sends_key(const struct step_http_config *config);
bool step_http_leaves_out(const struct key_header *header);

#endif
