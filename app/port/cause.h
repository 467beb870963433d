/* SPDX-License-Identifier: MIT */
/*
 * Dead letters that died of the same thing belong to one group: same step, same status, and a text that says the same
 * once ids and numbers are taken out of it.
 *
 *     step 2 (http), status 422, "order 1041 has no customer c-77"
 *     step 2 (http), status 422, "order 1042 has no customer c-91"     the same group: "order # has no customer #"
 *
 * The text is the answer's own (`error` of the evidence, see letter.h) where there is one, else the reason.  A group's
 * id is a hash of all that: eight hexadecimal digits, the same in each run and on each machine.  Pure.
 */
#ifndef PORT_CAUSE_H
#define PORT_CAUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* evidence: a JSON object, or NULL.  Never 0. */
uint32_t cause_of(const char *reason, const char *evidence, size_t evidence_bytes);

/* What the id is made of, as `,"name":value` pairs for people: step, kind, status, error, as far as they are known. */
void cause_describe(const char *evidence, size_t evidence_bytes, struct buf *out);

/* The same as a line of text: "step 2 (http): status: 422: email is not valid". */
void cause_say(const char *reason, const char *evidence, size_t evidence_bytes, struct buf *out);

/* The text without what differs from item to item: words with a digit or an @ in them become #.  in_parentheses: what
 * stands in them, too (jq puts values there, and "not json" the bytes around the mistake).  Appended to out, which is
 * cut at CAUSE_TEXT_BYTES. */
#define CAUSE_TEXT_BYTES 240
void cause_normalize(const char *text, size_t n, bool in_parentheses, struct buf *out);

#endif
