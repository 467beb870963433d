/* SPDX-License-Identifier: MIT */
/*
 * A question to a run that is alive.  The last line of an answer, a JSON object, says how it went; what was asked for
 * may stand in lines before it.
 */
#ifndef CMD_ASK_H
#define CMD_ASK_H

#include "port/buf.h"
#include "port/json.h"

#include <weir/base.h>

/* Sends the request to the run that lives in the state folder `state`, or if that is NULL to the one called `run` below
 * this folder.  The answer is appended to *answer, which was empty; its last line is parsed into *ret_json, which is
 * the caller's, NULL on failure.  WEIR_EINVAL: refused, *err says why; WEIR_EPIPE: the run ended meanwhile; -ENOENT or
 * -ECONNREFUSED: none lives there. */
int cmd_ask(const char *state, const char *run, const char *request, struct buf *answer, struct json **ret_json,
	    struct weir_error *err);

/* Where the last line begins. */
size_t cmd_answer_end(const struct buf *answer);

#endif
