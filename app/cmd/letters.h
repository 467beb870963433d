/* SPDX-License-Identifier: MIT */
/* clang-format off */
/*
 * The dead letters of a run, whether it is alive (then through its control socket) or not (then from its store); or those
 * that a broker has which several processes share.
 *
 * A request on the socket is one line: `letters `, the verb, and a JSON object.
 *
 *     letters ls {"reason":"status: 4","group":"3fa2b1c0","id":265,"after":0,"limit":50}     all may be left out
 *     letters replay {…}
 *     letters purge {…}                                  a reason, a group or an id, or "all":true
 *     letters groups {}
 *     letters mend {"mends":[{"id":265,"item":{…}}, …]}
 *     letters where {}
 *
 * The answer is what was asked for, a line each, and {"n": N}: of ls the id of the last one, else how many there were;
 * of mend also "missing", the places in the list of those that are no letters; of where "elsewhere", if letters go to a
 * sink.  Or {"error": "…"} alone.
 */
/* clang-format on */
#ifndef CMD_LETTERS_H
#define CMD_LETTERS_H

#include "port/broker.h"

/* A request that was read. */
struct letters_line {
	struct letters_request request; /* the items of its mends are its own */
	bool where;                     /* it asks where letters go, and nothing else */
	struct json *json;              /* that the query's text lies in */
};

/* What follows `letters `.  WEIR_EINVAL with err->text: among other things a number that is none, and a purge that does
 * not say what. */
int letters_parse(const char *words, struct letters_line *ret_line, struct weir_error *err);
void letters_line_fini(struct letters_line *line);

/* A group's id as people write it, eight hexadecimal digits: false if it is none. */
bool letters_group_read(const char *text, uint32_t *ret_group);

struct letters;

/* to_change: replay or purge.  -ENOENT when there is no such state, WEIR_EBUSY when another weir has it and does not
 * answer; err->text. */
int letters_open(const char *folder, bool to_change, struct letters **ret_letters, struct weir_error *err);

/* Those of a broker that is shared.  Everything else is to be called on the loop of the visit, too. */
struct visit;
int letters_visit(struct visit *visit, struct letters **ret_letters, struct weir_error *err);

void letters_close(struct letters *letters);
bool letters_live(const struct letters *letters);    /* the run is alive */
bool letters_on_loop(const struct letters *letters); /* they are those of a visit */

/* Where the run's letters go instead, borrowed; NULL: its state keeps them. */
const char *letters_elsewhere(const struct letters *letters);

/* Does it, as letters() of the port; out may be NULL where nothing is appended. */
int letters_do(struct letters *letters, const struct letters_request *request, struct buf *out, uint64_t *ret_n,
	       struct weir_error *err);

/* Most that the items of one request may have, which has to fit into CONTROL_REQUEST_BYTES with them. */
#define LETTERS_MEND_BYTES ((size_t)1 << 20)

/* Calls take with pages of letters, a JSON line each, until there are no more (or it fails): any number of them takes
 * the memory of one page.  WEIR_EDATA when they come in no order. */
typedef int (*letters_page_fn)(const struct buf *lines, void *arg, struct weir_error *err);
int letters_each_page(struct letters *letters, const struct letter_query *query, letters_page_fn take, void *arg,
		      struct weir_error *err);

/* Calls take for each line of a text.  WEIR_EDATA when one is no JSON. */
struct json;
typedef int (*letters_line_fn)(const struct json *json, void *arg, struct weir_error *err);
int letters_each_line(const struct buf *lines, letters_line_fn take, void *arg, struct weir_error *err);

#endif
