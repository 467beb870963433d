/* SPDX-License-Identifier: MIT */
/* The keys of the step `http`, and what the table cannot say. */
#ifndef STEP_HTTP_CONFIG_H
#define STEP_HTTP_CONFIG_H

#include "data/template.h"
#include "http/client.h"
#include "http/origin.h"
#include "port/key.h"

enum { STEP_HTTP_GET, STEP_HTTP_POST, STEP_HTTP_PUT, STEP_HTTP_PATCH, STEP_HTTP_DELETE, STEP_HTTP_HEAD };
enum { STEP_HTTP_1_1, STEP_HTTP_2, STEP_HTTP_AUTO };
enum { STEP_HTTP_COMPRESSED, STEP_HTTP_PLAIN };
enum { STEP_HTTP_JSON, STEP_HTTP_TEXT, STEP_HTTP_BYTES };
enum { STEP_HTTP_CLIENT_CREDENTIALS, STEP_HTTP_REFRESH_TOKEN };

/* What an answer means for its item. */
enum step_http_then {
	STEP_HTTP_OK,        /* a good one: its body is taken */
	STEP_HTTP_RETRY,     /* tried again, which uses up an attempt */
	STEP_HTTP_THROTTLED, /* tried again, which uses up none; nobody calls the upstream until then */
	STEP_HTTP_DEAD,
	STEP_HTTP_DROP,  /* the item is dropped */
	STEP_HTTP_PAUSE, /* the run is paused; tried again once it is resumed, which uses up no attempt */
};

/* An element of `when`, or a condition of another key. */
struct step_http_rule {
	char *condition; /* a jq expression over the answer */
	int then;        /* enum step_http_then */
	struct key_wait after;
	const char *name; /* of that other key, NULL: it is an element */
};

/* An element of `multipart`. */
struct step_http_part {
	char *name;
	struct template *value; /* one of them */
	struct key_path file;
	struct template *filename, *type;
};

struct step_http_config {
	struct template *url;
	int method;
	struct key_headers headers;
	struct template *body; /* one of them at most */
	struct key_json json;
	struct key_json form;      /* of a JSON object, which is then encoded */
	struct key_list multipart; /* of struct step_http_part */
	uint64_t max_upload;
	char *basic, *bearer;
	char *bearer_file; /* behind bearer: where it came from, to be read again; NULL */
	struct step_http_aws {
		char *service; /* NULL: requests are not signed */
		char *region, *access_key, *secret_key, *session_token;
		char *profile;           /* whose keys are read from AWS's file; NULL */
		struct key_strings exec; /* a program that prints keys; n is 0: none */
	} aws;
	struct step_http_oauth2 {
		char *token_url; /* NULL: there is no such server */
		char *client_id, *client_secret, *scope, *audience;
		char *refresh_token, *refresh_token_file; /* where it came from, and a new one goes; NULL */
		int grant;
	} oauth2;
	struct key_strings exec;       /* a program and its arguments; n is 0: none */
	weir_nsec ttl;                 /* of what it says; 0: not known */
	struct key_strings auth_hosts; /* the only ones that get credentials, where the items say the host */
	weir_nsec timeout_connect, timeout_first_byte; /* 0: derived from the next one */
	weir_nsec timeout;
	struct http_tls tls;
	char *proxy;
	int expect;
	int compress;
	int compress_body; /* an enum codec */
	int http;
	int64_t follow;
	bool record;
	struct step_http_save {
		struct key_path path; /* without one the answer becomes an item, no file */
		bool replace;
	} save;
	char *into;                                   /* NULL: the answer takes the item's place */
	struct key_counts ok, retry_on, throttled_on; /* no status is in two of them */
	struct key_list when;                         /* of struct step_http_rule */
	bool memo;                                    /* a good answer is kept for the item's next attempt */
	weir_nsec poll_every;                         /* 0: the answer begins no job that is to be asked for */
	weir_nsec poll_at_most;
	struct template *poll_url;
	char *poll_done, *poll_failed; /* jq expressions over an answer; NULL */
	int64_t max_connections;
	char *label;
	uint64_t max_body, max_headers;
};

extern const struct key step_http_keys[];
int step_http_check(const void *config, const char **ret_key, struct weir_error *err);

/* Whether scheme, host and port stand in the config: whatever an item holds, it cannot lead elsewhere.  NULL and where
 * that is, *ret_origin; NULL and a name of "" if the items say; or what is wrong with it. */
const char *step_http_fixed_origin(const struct template *url, struct http_origin *ret_origin);

/* auth.c: the keys under `auth`.  Their check looks at the headers, too; is_open: the items say the host. */
extern const struct key step_http_auth_keys[];
int step_http_check_auth(const struct step_http_config *config, bool is_open, const char **ret_key,
			 struct weir_error *err);

/* Whether the host may get the credentials: it stands in the config, or there are none. */
bool step_http_may_see_auth(const struct step_http_config *config, const char *host);

/* bodies.c: what the keys of bodies say together, and the files that are named there. */
int step_http_check_bodies(const struct step_http_config *config, const char **ret_key, struct weir_error *err);

/* The proxy that is named; NULL: it is "env" or "none". */
const char *step_http_proxy(const struct step_http_config *config);

/* What makes the body: a template (NULL: none does), which is one of JSON whatever the headers say or any; or a jq
 * program.  And whether there is a body at all, and it is a form. */
const struct template *step_http_body(const struct step_http_config *config);
const struct template *step_http_json(const struct step_http_config *config);
const char *step_http_program(const struct step_http_config *config);
bool step_http_has_body(const struct step_http_config *config);
static inline bool step_http_has_form(const struct step_http_config *config)
{
	return config->form.template || config->form.program;
}

/* Whether one of the templates that an item fills for its request, or for its files, is so. */
bool step_http_some_template(const struct step_http_config *config, bool (*is_so)(const struct template *template));

/* ---- headers.c */

/* The header of that name that is set, or NULL. */
const struct key_header *step_http_header(const struct step_http_config *config, const char *name);

/* The header Content-Type, or NULL; and whether such a value of it means JSON. */
const struct key_header *step_http_content_type(const struct step_http_config *config);
bool step_http_is_json(const char *content_type);

/* Whether its requests carry the idempotency key: those of a method that is not idempotent, unless `headers` has that
 * header.  And whether a header is that one and empty: then it is not sent. */
#define STEP_HTTP_KEY "Idempotency-Key"
bool step_http_sends_key(const struct step_http_config *config);
bool step_http_is_repeatable(const struct step_http_config *config); /* its method is idempotent, or there is a key */
bool step_http_leaves_out(const struct key_header *header);

#endif
