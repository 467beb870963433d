/* SPDX-License-Identifier: MIT */
/*
 * What is known of a failure that makes a dead letter: a JSON object that goes with it (letter.h).  The engine says
 * where it was, the step adds members for what it was (json_writer.h):
 *
 *     {"step": 1, "kind": "http"                                        the engine: a number, "source" or "sink"
 *      , "method": "POST", "url": "http://…", "status": 422,            the step
 *        "headers": {"content-type": "application/json", "x-request-id": "…"},
 *        "error": "email is not valid", "answer": "{…", "answer_bytes": 90412, "sent": "{…",
 *        "curl": "curl http://…"                                       the request as a command line
 *      , "trace_id": "0af7651916cd43dd8448eb211c80319c"                 the engine, if traces are collected
 *     }
 *
 * Of a call that somebody looks at (step_call.explain) there is also "sent_headers": {"Accept": "text/html"}.
 *
 * Texts are cut, and say then how long they were (NAME_bytes); secrets in them are hidden.
 */
#ifndef PORT_EVIDENCE_H
#define PORT_EVIDENCE_H

#include <stddef.h>

struct buf;

#define EVIDENCE_TEXT_BYTES  ((size_t)4096) /* of a body or a value */
#define EVIDENCE_ERROR_BYTES ((size_t)241)  /* of a line that says what is wrong, and its end */

/* Appends `"name":"text"`; of a longer text its beginning, and `"name_bytes":n`. */
void evidence_add_text(struct buf *out, const char *name, const char *text, size_t n);

/* What an answer itself says is wrong, as a line of text; its length, 0 if it says nothing.  Of JSON that is
 * .error.message, .error, .message, .errors[0].message, .errors[0], .detail or .title, or the whole if it is a text; of
 * HTML the title; of other text its first line. */
size_t evidence_find_error(const char *body, size_t n, char ret_line[EVIDENCE_ERROR_BYTES]);

/* Appends that as `"error":"…"`; nothing if it says nothing. */
void evidence_add_error(struct buf *out, const char *body, size_t n);

#endif
