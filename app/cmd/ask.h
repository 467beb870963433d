/* SPDX-License-Identifier: MIT */
/*
 * A question to a running pipeline.  The last line of an answer, a JSON object, says how it went; what was asked for
 * may stand in lines before it.
 */
#ifndef CMD_ASK_H
#define CMD_ASK_H

#include "data/buf.h"
#include "data/json.h"

#include <weir/base.h>

/* Sends the request to the run that is alive in a state folder.  The answer is appended to *answer, which was empty;
 * its last line is parsed into *ret_json, which is the caller's, NULL on failure.  WEIR_EINVAL: refused, *err says why;
 * WEIR_EBUSY, WEIR_ETIMEDOUT: it is suspended, or does not answer; WEIR_EPIPE: the run ended meanwhile; -ENOENT or
 * -ECONNREFUSED: no run is alive there.
 */
int cmd_ask(const char *folder, const char *request, struct buf *answer, struct json **ret_json,
	    struct weir_error *err);

/* Whether it was not answered because no run is alive, or one is about to end. */
bool cmd_ask_has_ended(int code);

/* Where the last line begins. */
size_t cmd_answer_end(const struct buf *answer);

/* Prints what came: the lines for people, or with as_json the last one. */
void cmd_answer_print(const struct buf *answer, bool as_json);

#endif
