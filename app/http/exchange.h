/* SPDX-License-Identifier: MIT */
/* The step `http`, one request of it with its answer, and what its files do with them. */
#ifndef STEP_HTTP_EXCHANGE_H
#define STEP_HTTP_EXCHANGE_H

#include "http/client.h"
#include "http/config.h"
#include "http/credentials.h"
#include "http/multipart.h"
#include "http/origin.h"
#include "http/redirect.h"
#include "http/rules.h"
#include "http/saved.h"
#include "port/adapter.h"

struct jq_client;

struct http_step {
	const struct step_http_config *config;
	struct http_client *client;
	struct weir_metric *requests;         /* step_env.requests */
	struct http_proxies *proxies;         /* the client borrows them */
	struct http_credentials *credentials; /* NULL: those that there are stand in a constant header */
	struct http_origin origin;            /* where all requests go; a name of "": the items say */
	size_t varying_headers;               /* that an item fills */
	bool needs_item;                      /* some template has a hole */
	bool needs_meta;                      /* one of them asks for more than the item */
	bool tells_meta;                      /* some step wants to know of its answers */
	bool is_list;                         /* env->url_list */
	bool sends_parent;                    /* its requests carry the header traceparent, if they are traced */
	bool sends_key;                       /* its requests carry the idempotency key, with … */
	size_t key_number;                    /* … this behind it; 0: nothing */
	char **lines;                         /* headers of every request, "Name: value" */
	size_t line_count;
	struct http_rules *rules; /* NULL: there are none */
	struct http_poll *poll;   /* NULL: an answer begins no job */
	struct jq_client *body;   /* the program that makes the body; NULL: none does */
	size_t full_count;        /* calls that wait for room for their files, … */
	char full[128];           /* … and one of these, cut */
};

/* What an answer means. */
struct http_verdict {
	enum step_http_then then;
	bool is_said;    /* the config says so of this answer: */
	bool is_final;   /* a header says not to try again what would be otherwise */
	size_t rule;     /* by the rule with this number, from 1; 0: by a list */
	weir_nsec after; /* it says so of the time, too; 0 */
};

struct exchange {
	struct buf url, body;
	struct buf packed; /* what is sent of the body, if it is compressed */
	struct buf around; /* the item, if the answer goes into it */
	size_t place;      /* of the answer in it */
	char **lines;      /* headers that the item filled, and credentials */
	size_t line_count;
	const char *key;         /* sent in one of them; NULL: none */
	uint64_t span;           /* that one of them names (traceparent); 0: none does */
	struct http_grant grant; /* what credentials it has, but for their lines, which are above; zero: none */
	weir_nsec granted;       /* when it had them */
	weir_nsec grant_took;    /* how long it waited for them */
	struct http_origin origin;
	struct http_hop *hop;        /* what is sent instead, since requests before this one ended so; NULL: nothing */
	struct http_request request; /* what is sent, or would be; it borrows from the above */
	struct http_response response;
	struct http_multipart *parts; /* of the body; NULL: it has none */
	struct http_saving {
		struct http_saved *file; /* that its body becomes; NULL: none */
		struct http_sink sink;   /* of the request */
		struct http_step *step;
		bool was_full; /* there was no room for it for a while */
		int error;     /* of the file; 0 */
	} saving;
	bool is_again;               /* the request is to be sent once more, on a new connection */
	bool explained;              /* before the answer was taken apart */
	struct http_verdict verdict; /* of a whole answer */
	bool is_of_job;              /* it asks for one that an earlier request has begun */
};

/* ---- request.c */

/* Makes step->lines: the headers that no item changes. */
int step_http_make_headers(struct http_step *step, struct weir_error *err);

/* Where the request of this call goes; false: that cannot be said. */
bool step_http_find_origin(const struct http_step *step, const struct step_call *call, struct http_origin *ret_origin);

/* Makes x->request.  STEP_OK; or what there is instead of one, and call->why says the reason.  May suspend. */
enum step_verdict step_http_prepare(struct http_step *step, struct step_call *call, struct exchange *x);

/* Of one that is prepared: it is a comment in a list of URLs, and nothing is to be sent. */
bool step_http_is_nothing(const struct http_step *step, const struct exchange *x);

/* ---- body.c */

/* On a fiber.  *ret_body: NULL if no program makes bodies. */
int step_http_body_open(const struct step_http_config *config, const char *exe_path, struct jq_client **ret_body,
			struct weir_error *err);

/* Makes x->body of the call's input.  STEP_OK, or call->why says why there is none.  Suspends. */
enum step_verdict step_http_body_make(const struct http_step *step, struct step_call *call, struct exchange *x);

/* ---- form.c: x->body, a JSON object, becomes the fields of a form.  STEP_OK, or call->why says what is none. */
enum step_verdict step_http_form_encode(struct step_call *call, struct exchange *x);

/* ---- parts.c: x->parts, and a header for them.  STEP_OK, or call->why says what is wrong with a value or a file.
 * May suspend. */
enum step_verdict step_http_parts_make(const struct http_step *step, struct step_call *call,
				       const struct template_input *input, struct exchange *x);

/* Of a fetch that has ended with that error: STEP_RETRY if it was because of a file that was read; else STEP_OK. */
enum step_verdict step_http_parts_check(struct step_call *call, const struct exchange *x, int error);

/* ---- verdict.c */

struct http_verdict step_http_by_status(const struct step_http_config *config, const struct http_response *response);

/* Decides on x->verdict.  STEP_OK, or call->why says what is wrong with a rule.  Suspends if there are rules. */
enum step_verdict step_http_decide(const struct http_step *step, struct step_call *call, struct exchange *x);
/* ---- authorize.c */

/* Adds what credentials the request needs to its headers, unless it goes to another origin.  STEP_OK, or the permit is
 * given back and that is what becomes of the item. */
enum step_verdict step_http_authorize(const struct http_step *step, struct step_call *call, struct exchange *x);

/* Whether most of an attempt that took too long was a wait for credentials: then it says nothing of the item or the
 * upstream, so the permit is given back, and the item is attempted again. */
bool step_http_was_held_up(const struct http_step *step, struct step_call *call, const struct exchange *x,
			   enum step_verdict *ret_verdict);

/* Whether the answer says no more than that the credentials were old ones, or the time in them was wrong, and the
 * config does not say what it means: then the permit is given back, and the item is attempted again.  Suspends. */
bool step_http_reauthorize(const struct http_step *step, struct step_call *call, const struct exchange *x,
			   enum step_verdict *ret_verdict);

/* ---- answer.c */

/* What becomes of the item by that verdict, or of a failure; adds the output of a good answer, but for a record only if
 * JSON is expected. */
enum step_verdict step_http_judge(const struct http_step *step, struct step_call *call, struct exchange *x);

/* Of an answer that is longer than the config allows: STEP_DEAD.  what: "body", "headers", or "ratio". */
enum step_verdict step_http_say_too_large(const struct http_step *step, struct step_call *call, const char *what,
					  const struct http_response *response);

/* Adds the record about the request, with that output in it. */
enum step_verdict step_http_record(const struct http_step *step, struct step_call *call, const struct exchange *x,
				   enum step_verdict verdict);

/* Of the answer of a job that has failed: STEP_DEAD. */
enum step_verdict step_http_say_failed(struct step_call *call, const struct exchange *x);

/* The body without a byte order mark; "" and 0: it is empty, or was handed on. */
const char *step_http_text(const struct http_response *response, size_t *ret_n);

/* ---- save.c: the body of a good answer becomes a file */

/* Makes x->saving, if the config wants a file.  STEP_OK, or call->why says why the path is none. */
enum step_verdict step_http_save_open(struct http_step *step, struct step_call *call,
				      const struct template_input *input, struct exchange *x);

/* The fetch has ended, with that error, which becomes WEIR_ENOSPC if it was late for want of room.  Saves a good
 * answer, by x->verdict.  STEP_OK: there is a file or none was to be made; or call->why says why there is none.
 * Suspends, for as long as the disk is full. */
enum step_verdict step_http_save(const struct http_step *step, struct step_call *call, struct exchange *x, int *error);

/* Removes what there is of a file that is not to be.  Suspends, shielded. */
void step_http_save_close(const struct step_call *call, struct exchange *x, enum step_verdict verdict);

/* ---- file_answer.c: whether the answer is saved, and then what is said of it, as members of an object */

bool step_http_is_saved(const struct exchange *x);
void step_http_put_saved(const struct exchange *x, struct buf *out);

/* ---- follow.c */

/* Whether the answer is a redirect that is to be followed: the config says nothing else of its status. */
bool step_http_is_followed(const struct http_step *step, const struct step_call *call, const struct exchange *x);

/* Whether the request was most likely not done, and a new connection may help: once, and if that does no harm. */
bool step_http_is_sent_again(const struct http_step *step, const struct step_call *call, const struct exchange *x);

/* Asks for another leg, in which the same request is sent. */
enum step_verdict step_http_send_again(const struct http_step *step, struct step_call *call, const struct exchange *x);

/* Asks for another leg, in which the request goes there; or says why not. */
enum step_verdict step_http_follow(const struct http_step *step, struct step_call *call, const struct exchange *x);

/* ---- poll.c: jobs that an answer begins */

int step_http_poll_open(const struct step_http_config *config, const char *exe_path, struct http_poll **ret_poll,
			struct weir_error *err);   /* NULL: there are none */
void step_http_poll_close(struct http_poll *poll); /* suspends, shielded; NULL is fine */

/* Where to ask for the job that this value has begun; NULL: it has begun none. */
const char *step_http_job(const struct step_call *call);

/* Of a good answer: STEP_OK, it is to be taken, for there is no job or it is done; STEP_WAIT; STEP_DEAD, the job has
 * failed, or cannot be asked for.  May suspend. */
enum step_verdict step_http_await(const struct http_step *step, struct step_call *call, const struct exchange *x);

/* ---- evidence.c */

/* Where redirects have led to; NULL: there were none. */
static inline const char *step_http_final_url(const struct exchange *x)
{
	return x->hop && x->hop->number ? x->hop->url : NULL;
}

void step_http_put_headers(struct buf *out, const struct http_response *response); /* as "headers": {…} */

/* Writes what is known of a call to call->evidence. */
void step_http_explain(const struct http_step *step, const struct step_call *call, const struct exchange *x);

/* What is known of a good answer, value->meta; NULL if out of memory. */
char *step_http_meta(const struct exchange *x);

/* ---- curl.c: appends the request as a command line for a shell, an option a line if it is long.  A body that is too
 * long for that comes from the standard input. */
void step_http_add_curl(const struct http_step *step, const struct exchange *x, struct buf *out);

/* ---- upstream.c: the permit of the upstream (call->permit) */

/* There is no permit: what becomes of the item. */
enum step_verdict step_http_turned_away(struct step_call *call);

/* The call has ended.  error: of the fetch.  Without one there is a response, good or bad; WEIR_ETIMEDOUT: none came in
 * the attempt's time; else it says nothing. */
void step_http_leave(struct step_call *call, const struct exchange *x, int error);

/* After that: the verdict; or STEP_REFUSED instead when the item is not to blame, or STEP_DEAD when it has waited for
 * too long. */
enum step_verdict step_http_excuse(struct step_call *call, enum step_verdict verdict);

#endif
