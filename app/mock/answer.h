/* SPDX-License-Identifier: MIT */
/* From a request to an answer: what it will say, when, and what will go wrong with it.  No I/O. */
#ifndef MOCK_ANSWER_H
#define MOCK_ANSWER_H

#include "config.h"
#include "request.h"
#include "stats.h"

#include "data/buf.h"

enum mock_framing { MOCK_LENGTH, MOCK_CHUNKED, MOCK_UNTIL_CLOSE };

struct mock_answer {
	int status;
	bool taken;       /* it was not refused for want of capacity: in flight until it is sent */
	const char *type; /* NULL: no body */
	enum mock_framing framing;
	int length_off; /* added to the Content-Length that would be right */
	bool keep_alive, is_head, is_http10;
	char retry_after[48];
	enum mock_limit_headers limit_headers;
	struct mock_quota quota;
	uint64_t pad;     /* so many 'x' behind the body, not kept in memory */
	const char *tail; /* behind the pad */
	weir_nsec delay;
	struct mock_fault fault; /* that is left to play when it is sent */
};

/* All that answers are decided with. */
struct mock_desk {
	const struct mock_config *config;
	struct mock_stats stats;
	struct mock_once once;
	struct mock_capacity capacity;
	uint64_t random;
	struct buf body; /* of the answer being made; valid until the next one */
};

/* WEIR_ENOMEM. */
int mock_desk_init(struct mock_desk *desk, const struct mock_config *config);
void mock_desk_fini(struct mock_desk *desk);

/* Decides on the answer to a request with a complete head, counts it, and leaves the body in desk->body.  content: what
 * was kept of the request's body, or NULL. */
void mock_answer_make(struct mock_desk *desk, const struct mock_request *request, const char *text,
		      const struct buf *content, struct mock_answer *ret_answer);

/* The same for a request that is refused before it is understood. */
void mock_answer_refuse(struct mock_desk *desk, int status, struct mock_answer *ret_answer);

/* Appends head and body (without pad and tail); returns the length of the head. */
size_t mock_answer_encode(const struct mock_answer *answer, const struct buf *body, struct buf *out);

#endif
