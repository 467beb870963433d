/* SPDX-License-Identifier: MIT */
/*
 * The gates of hosts: a server that says "come back later" (429, Retry-After) closes the gate of its host, and nobody
 * sends to it until then.  Pure: `now` is a parameter.
 *
 * Example: 429 without a usable Retry-After closes for 1 s, the next one after that for 2 s, then 4 s and so on, up to
 * `longest`; an answer that is no refusal while the gate is open starts over.  Refusals that were under way when the
 * gate closed count as one.
 */
#ifndef HTTP_GATE_H
#define HTTP_GATE_H

#include <weir/base.h>

struct http_gates;

/* At most `most` hosts are remembered; the one that was used longest ago is forgotten first.  WEIR_ENOMEM. */
int http_gates_new(size_t most, weir_nsec longest, struct http_gates **ret_gates);
void http_gates_free(struct http_gates *gates);

/* When the gate of that origin opens; 0 when it is open. */
weir_nsec http_gates_closed_until(struct http_gates *gates, const char *origin, weir_nsec now);

/* A refusal: closes the gate for `wait`, or when that is -1 for the growing pause, and returns until when.  A gate
 * never closes for a shorter time than it already is.  Without memory the pause is returned, but not remembered. */
weir_nsec http_gates_refused(struct http_gates *gates, const char *origin, weir_nsec wait, weir_nsec now);

/* An answer that was no refusal. */
void http_gates_answered(struct http_gates *gates, const char *origin, weir_nsec now);

/* Hosts whose gate is closed now. */
size_t http_gates_closed(const struct http_gates *gates, weir_nsec now);

#endif
