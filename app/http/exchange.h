/* SPDX-License-Identifier: MIT */
/* The step `http`, one request of it with its answer, and what its files do with them. */
#ifndef STEP_HTTP_EXCHANGE_H
#define STEP_HTTP_EXCHANGE_H

#include "http/client.h"
#include "http/config.h"
#include "http/credentials.h"
#include "http/origin.h"
#include "port/adapter.h"

struct http_step {
	const struct step_http_config *config;
	struct http_client *client;
	struct http_credentials *credentials; /* NULL: those that there are stand in a constant header */
	struct http_origin origin;            /* where all requests go; a name of "": the items say */
	size_t varying_headers;               /* that an item fills */
	bool needs_item;                      /* some template has a hole */
	bool needs_meta;                      /* one of them asks for more than the item */
	bool tells_meta;                      /* some step wants to know of its answers */
	bool is_list;                         /* env->url_list */
};

struct exchange {
	struct buf url, body;
	struct buf around; /* the item, if the answer goes into it */
	size_t place;      /* of the answer in it */
	char **lines;      /* headers that the item filled, and credentials */
	size_t line_count;
	uint64_t token; /* the number of that which is sent; 0: none */
	struct http_origin origin;
	struct http_response response;
};

/* ---- authorize.c */

/* Adds what credentials the request needs to its headers.  STEP_OK, or the permit is given back and that is what
 * becomes of the item. */
enum step_verdict step_http_authorize(const struct http_step *step, struct step_call *call, struct exchange *x,
				      struct http_request *request);

/* Whether the answer says no more than that the token was an old one: then the permit is given back, and the item is
 * attempted again.  Suspends. */
bool step_http_reauthorize(const struct http_step *step, struct step_call *call, const struct exchange *x,
			   enum step_verdict *ret_verdict);

/* ---- answer.c */

bool step_http_is_good(const struct step_http_config *config, int status);
bool step_http_is_throttled(const struct http_response *response); /* "too much", or "come back later" */

/* What the answer, or the failure, means for the item; adds the output of a good one, but for
 * a record only if JSON is expected. */
enum step_verdict step_http_judge(const struct http_step *step, struct step_call *call, struct exchange *x);

/* Adds the record about the request, with that output in it. */
enum step_verdict step_http_record(const struct http_step *step, struct step_call *call, const struct exchange *x,
				   enum step_verdict verdict);

/* ---- evidence.c */

/* Writes what is known of a failure to call->evidence. */
void step_http_explain(const struct step_call *call, const struct exchange *x, const char *method);

/* What is known of a good answer, value->meta; NULL if out of memory. */
char *step_http_meta(const struct exchange *x);

/* ---- upstream.c: the permit of the upstream (call->permit) */

/* There is no permit: what becomes of the item. */
enum step_verdict step_http_turned_away(struct step_call *call);

/* The call has ended.  error: of the fetch.  Without one there is a response, good or bad; WEIR_ETIMEDOUT: none came in
 * the attempt's time; else it says nothing. */
void step_http_leave(const struct http_step *step, struct step_call *call, const struct exchange *x, int error);

/* After that: the verdict; or STEP_REFUSED instead when the item is not to blame, or STEP_DEAD when it has waited for
 * too long. */
enum step_verdict step_http_excuse(struct step_call *call, enum step_verdict verdict);

#endif
