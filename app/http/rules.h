/* SPDX-License-Identifier: MIT */
/* Rules: what the pipeline file says an answer means, by jq expressions over it. */
#ifndef STEP_HTTP_RULES_H
#define STEP_HTTP_RULES_H

#include "http/config.h"
#include "port/step.h"

struct http_rules;
struct http_response;

/* Those of a key; all is borrowed. */
struct http_rules_options {
	const char *key; /* for messages */
	const struct step_http_rule *all;
	size_t n;
	const char *exe_path;
};

/* On a fiber.  *ret_rules is NULL if there are none: then nothing is asked of any answer. */
int step_http_rules_open(const struct http_rules_options *opts, struct http_rules **ret_rules, struct weir_error *err);
void step_http_rules_close(struct http_rules *rules); /* suspends, shielded; NULL is fine */

/* Asks which rule is the first that holds.  STEP_OK, and *ret_number is its number, from 1 (0: none holds), *ret_after
 * what it says of the time (0: nothing); or no rule can be asked, and call->why names it. */
enum step_verdict step_http_rules_ask(struct http_rules *rules, struct step_call *call,
				      const struct http_response *response, size_t *ret_number, weir_nsec *ret_after);

/* Whether a rule wants to know of earlier answers. */
bool step_http_rules_read_meta(const struct step_http_config *config);

#endif
