/* SPDX-License-Identifier: MIT */
/*
 * A jq program in child processes (weir-jq.c): the step jq, and what other steps ask of an expression.  Belongs to the
 * loop that made it; any number of its fibers may run the program concurrently.
 *
 * One child is enough for most: at 13 us an input it is faster than one loop fetches them, and it then has a core of
 * its own beside the loop.  More only help with programs that take longer.
 */
#ifndef JQ_CLIENT_H
#define JQ_CLIENT_H

#include "port/step.h"

#include <weir/child.h>

struct jq_client;

struct jq_client_options {
	const char *program;  /* borrowed for the call, like the next one */
	const char *exe_path; /* of the running weir: weir-jq lies beside it */
	unsigned workers;     /* child processes */
	weir_nsec timeout;    /* of one input */
	uint64_t memory;      /* address space of a child */
	int64_t max_outputs;  /* of one input; together they may have 10 MiB */
};

/* On a fiber.  What cannot be started, with err->text; WEIR_ENOMEM. */
int jq_client_new(const struct jq_client_options *opts, struct jq_client **ret_client, struct weir_error *err);
void jq_client_free(struct jq_client *client); /* no run is under way; suspends, shielded.  NULL is fine */

/* Runs the program on a JSON text; $source and $meta are those of the call.  STEP_OK: its outputs were appended.  Else
 * call->why says what went wrong: "jq: …".  STEP_RETRY with call->rejects and call->after: the program asks for that,
 * by an error that is {retry: true, after: seconds, why: text}. */
enum step_verdict jq_client_run(struct jq_client *client, struct step_call *call, const struct value *input,
				struct value_list *outputs);

void jq_client_stats(const struct jq_client *client, struct weir_child_stats *ret_stats);

bool jq_reads_meta(const char *program);
unsigned jq_client_held(unsigned workers); /* descriptors, whatever is under way */

#endif
