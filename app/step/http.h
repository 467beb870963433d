/* SPDX-License-Identifier: MIT */
/* The step `http`: its parts (http.c prepares requests, http_answer.c judges answers) know each other by this. */
#ifndef STEP_HTTP_H
#define STEP_HTTP_H

#include "http/http.h"
#include "http/origin.h"
#include "port/adapter.h"
#include "port/template.h"

#include <weir/process.h>

enum { STEP_HTTP_GET, STEP_HTTP_POST, STEP_HTTP_PUT, STEP_HTTP_PATCH, STEP_HTTP_DELETE, STEP_HTTP_HEAD };
enum { STEP_HTTP_JSON, STEP_HTTP_TEXT, STEP_HTTP_BYTES };

struct step_http_config {
	struct template *url;
	int method;
	struct key_headers headers;
	struct template *body;
	char *basic, *bearer;
	weir_nsec timeout;
	int expect;
	struct key_counts ok;
	int64_t max_connections;
	char *label;
	uint64_t max_body;
};

struct step {
	const struct step_http_config *config;
	struct http_client *client;
	struct weir_policy *policy;
	size_t varying_headers; /* that an item fills */
	bool needs_item;        /* some template has a hole */
	bool record;
	bool several;                                          /* it has met more than one upstream */
	char first_key[sizeof((struct http_origin *)0)->name]; /* the first of them */
	uint64_t random;
};

/* One request and its answer. */
struct exchange {
	struct buf url, body;
	char **lines; /* headers that the item filled */
	size_t line_count;
	struct http_origin origin;
	struct http_response response;
	struct weir_gate *gate; /* NULL: not asked for yet */
	struct weir_pass pass;
};

/* Writes call->why, cut to its room, and returns the verdict. */
enum step_verdict step_http_say(struct step_call *call, enum step_verdict verdict, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Through the gate of the upstream: STEP_OK, and step_http_leave() has to follow; or what becomes of the item. */
enum step_verdict step_http_enter(struct step *step, struct step_call *call, struct exchange *x);

/* error: of the fetch.  Without one there is a response, good or bad; WEIR_ETIMEDOUT: none came in the attempt's time;
 * else nothing was learnt. */
void step_http_leave(const struct step *step, struct exchange *x, int error);

/* After leaving: the verdict, or STEP_REFUSED instead when the gate is shut by now. */
enum step_verdict step_http_excuse(struct step *step, struct step_call *call, struct exchange *x,
				   enum step_verdict verdict);

bool step_http_is_good(const struct step_http_config *config, int status);
bool step_http_is_throttled(const struct http_response *response); /* "too much", or "come back later" */

/* What the answer, or the failure, means for the item; adds the output of a good one unless in record mode. */
enum step_verdict step_http_judge(const struct step *step, struct step_call *call, struct exchange *x);

/* Adds the record about the request that `weir get` writes. */
enum step_verdict step_http_record(struct step_call *call, const struct exchange *x, enum step_verdict verdict);

void step_http_add_base64(struct buf *out, const void *bytes, size_t n);

#endif
