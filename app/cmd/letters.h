/* SPDX-License-Identifier: MIT */
/*
 * The dead letters of a run, whether it is alive (then through its control socket) or not (then from its store).
 *
 * A request on the socket is one line: `letters `, the verb, and the query as a JSON object.
 *
 *     letters ls {"reason":"status: 4","id":0,"after":0,"limit":50}
 *     letters replay {…}      letters purge {…}
 *
 * The answer is the letters, a line each, and {"n": N}: of ls the id of the last one, else how many there were; or
 * {"error": "…"} alone.
 */
#ifndef CMD_LETTERS_H
#define CMD_LETTERS_H

#include "port/broker.h"

enum letters_verb { LETTERS_LIST, LETTERS_REPLAY, LETTERS_PURGE };

struct letters_request {
	enum letters_verb verb;
	struct letter_query query;
	struct json *json; /* that the query's text lies in */
};

/* What follows `letters `.  WEIR_EINVAL with err->text. */
int letters_parse(const char *words, struct letters_request *ret_request, struct weir_error *err);
void letters_request_fini(struct letters_request *request);

struct letters;

/* -ENOENT when there is no such state, WEIR_EBUSY when another weir has it and does not answer; err->text. */
int letters_open(const char *folder, struct letters **ret_letters, struct weir_error *err);
void letters_close(struct letters *letters);
bool letters_live(const struct letters *letters); /* the run is alive */

/* Does it: *ret_n is how many, and for LETTERS_LIST the id of the last one, 0 if there was none; the letters are
 * appended to out, a line each. */
int letters_do(struct letters *letters, enum letters_verb verb, const struct letter_query *query, struct buf *out,
	       uint64_t *ret_n, struct weir_error *err);

#endif
