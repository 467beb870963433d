/* SPDX-License-Identifier: MIT */
/*
 * What an upstream can do to its client.  A fault is written as it stands in a path after /fault/ and in
 * `--fault PREFIX=FAULT:PERCENT`: a name, for some with an argument ("slow/100", "status/503/retry-after/2"), and
 * "once/" before it when only the first request for each path is to meet it.
 *
 * To add a fault: a row here and a function in play.c.
 */
#ifndef MOCK_FAULT_H
#define MOCK_FAULT_H

#include "text.h"

#include <weir/table.h>

/* Identifier, name, argument's default (NONE: there is no argument), text. */
#define MOCK_FAULTS(X)                                                                                                 \
	X(RESET, "reset", NONE, "reset before any answer")                                                             \
	X(RESET_BODY, "reset-body", NONE, "reset after half the body")                                                 \
	X(CLOSE, "close", NONE, "close without any answer")                                                            \
	X(STALL, "stall", NONE, "no answer, until the client gives up")                                                \
	X(STALL_BODY, "stall-body", NONE, "half the body, then silence")                                               \
	X(HALF, "half", NONE, "half of the announced body, then close")                                                \
	X(CHUNK_CUT, "chunk-cut", NONE, "close in the middle of a chunk")                                              \
	X(CLOSE_CUT, "close-cut", NONE, "body without a length, cut inside the JSON")                                  \
	X(SLOW, "slow", 100, "body at this many bytes a second")                                                       \
	X(TOO_LONG, "wrong-length", NONE, "Content-Length too long by 10")                                             \
	X(TOO_SHORT, "short-length", NONE, "Content-Length too short by 10")                                           \
	X(HUGE_BODY, "huge", 11534336, "JSON of this many bytes, in chunks")                                           \
	X(HTML, "html", NONE, "status 200 with a page of HTML")                                                        \
	X(BAD_JSON, "bad-json", NONE, "status 200 with broken JSON")                                                   \
	X(BAD_UTF8, "bad-utf8", NONE, "JSON with invalid UTF-8")                                                       \
	X(BOM, "bom", NONE, "JSON after a byte order mark")                                                            \
	X(EMPTY, "empty", NONE, "status 200 without a body")                                                           \
	X(GARBAGE, "garbage", NONE, "bytes that are not HTTP")                                                         \
	X(BIG_HEADER, "big-header", 400000, "a header line of this many bytes")                                        \
	X(CONTINUE, "continue", 20000, "this many 100 Continue before the answer")                                     \
	X(STATUS, "status", 503, "that status; /retry-after/TEXT adds the header")

enum mock_fault_kind {
	MOCK_FAULT_NONE,
#define X(id, name, argument, text) MOCK_FAULT_##id,
	MOCK_FAULTS(X)
#undef X
		MOCK_FAULT_KINDS
};

struct mock_fault {
	enum mock_fault_kind kind;
	bool once;
	uint64_t argument;
	char retry_after[48]; /* of STATUS; empty: none */
};

const char *mock_fault_name(enum mock_fault_kind kind);

/* Takes a fault off the beginning of *rest, and the slash behind it.  WEIR_EINVAL with err->text. */
int mock_fault_parse(struct mock_span *rest, struct mock_fault *ret_fault, struct weir_error *err);

/* Which paths have met theirs: a million at most. */
enum { MOCK_ONCE_ITEMS = 1 << 20 };
struct mock_once {
	struct weir_table seen;
};

/* Whether this is the first time for the key.  When the set is full, or memory is, nothing is new any more. */
bool mock_once_first(struct mock_once *once, struct mock_span key);
void mock_once_fini(struct mock_once *once);

/* The value of a Retry-After header: "date:N" becomes the date N seconds from now, other text is taken as it is. */
void mock_retry_after(const char *text, char *ret_value, size_t room);

#endif
