/* SPDX-License-Identifier: MIT */
/* The body that a jq program makes of an item. */
#include "http/exchange.h"

#include <string.h>

#include "jq/client.h"

/* What a step jq may take by default. */
#define TIMEOUT WEIR_SEC
#define MEMORY  ((uint64_t)256 << 20)
#define OUTPUTS 100000

int step_http_body_open(const struct step_http_config *config, const char *exe_path, struct jq_client **ret_body,
			struct weir_error *err)
{
	const struct jq_client_options opts = {.program = step_http_program(config),
					       .exe_path = exe_path,
					       .workers = 1,
					       .timeout = TIMEOUT,
					       .memory = MEMORY,
					       .max_outputs = OUTPUTS};
	*ret_body = NULL;
	return opts.program ? jq_client_new(&opts, ret_body, err) : 0;
}

enum step_verdict step_http_body_make(const struct http_step *step, struct step_call *call, struct exchange *x)
{
	struct value_list made = {0};
	char why[sizeof call->why];
	const char *key = step_http_has_form(step->config) ? "form" : "json";
	enum step_verdict verdict = jq_client_run(step->body, call, call->input, &made);
	memcpy(why, call->why, sizeof why);
	if (verdict != STEP_OK)
		step_say(call, verdict, "%s: %.240s", key, why);
	else if (made.n != 1)
		verdict = step_say(call, STEP_DEAD, "%s: the program gives %zu outputs, expected one", key, made.n);
	else if (buf_add(&x->body, made.values[0].data, made.values[0].len))
		verdict = step_say(call, STEP_RETRY, "memory: %s", weir_strerror(WEIR_ENOMEM));
	value_list_fini(&made);
	return verdict;
}
