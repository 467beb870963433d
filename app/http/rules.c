/* SPDX-License-Identifier: MIT */
/*
 * All rules of a step are one jq program, so that an answer is asked once and by one process.  It gives
 *
 *     null                              no rule holds
 *     {"rule": 2, "after": 1.5}         rule 2 does, and says 1.5 s; null: it says nothing of the time
 *     {"rule": 2, "why": "if: …"}       nobody can say whether rule 2 holds, or what time it means
 *
 * Expressions stand in parentheses with a line end before the closing one, for a comment may be at their end.
 */
#include "http/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/json.h"
#include "data/json_writer.h"
#include "http/exchange.h"
#include "jq/client.h"

#define ASK_TIMEOUT (10 * WEIR_SEC)
#define ASK_MEMORY  ((uint64_t)512 << 20)
#define AFTER_MOST  ((double)366 * 24 * 3600)

static const char definitions[] =
	/* Collected, for in jq 1.6 a `try` catches what comes behind it, too. */
	"def rule_try(f): [try {of: [f]} catch {error: .}] | .[0];"
	"def rule_one($r; $key): if $r | has(\"error\") then \"\\($key): \\($r.error)\""
	"  elif ($r.of | length) != 1 then \"\\($key) gives \\($r.of | length) outputs, expected one\""
	"  else null end;"
	"def rule_after($n; g): rule_try(g) as $r | rule_one($r; \"after\") as $why | ($r.of[0] | type) as $type"
	"  | if $why then {rule: $n, why: $why}"
	"    elif $type == \"null\" or $type == \"number\" then {rule: $n, after: $r.of[0]}"
	"    else {rule: $n, why: \"after gives \\($type), expected seconds\"} end;"
	"def rule($n; $name; f; g): rule_try(f) as $r | rule_one($r; $name) as $why"
	"  | if $why then {rule: $n, why: $why} elif $r.of[0] then rule_after($n; g) else empty end;";

struct http_rules {
	const char *key;
	const struct step_http_rule *all;
	size_t n;
	struct jq_client *client;
};

static const struct step_http_rule *rules_of(const struct step_http_config *config)
{
	return config->when.elements;
}

static void write_program(const struct http_rules_options *opts, struct buf *out)
{
	buf_add_str(out, definitions);
	buf_add_str(out, "first(");
	for (size_t i = 0; i < opts->n; i++) {
		const struct step_http_rule *rule = &opts->all[i];
		const char *name = rule->name ? rule->name : "if", *after = rule->after.program;
		buf_addf(out, "rule(%zu; \"%s\"; (%s\n); (%s\n)), ", i + 1, name, rule->condition,
			 after ? after : "null");
	}
	buf_add_str(out, "null)");
}

int step_http_rules_open(const struct http_rules_options *opts, struct http_rules **ret_rules, struct weir_error *err)
{
	*ret_rules = NULL;
	if (!opts->n)
		return 0;
	struct http_rules *rules = calloc(1, sizeof *rules);
	struct buf program = {0};
	write_program(opts, &program);
	int error = rules && !program.failed ? 0 : WEIR_ENOMEM;
	if (error == 0) {
		*rules = (struct http_rules){.key = opts->key, .all = opts->all, .n = opts->n};
		const struct jq_client_options client = {.program = program.data,
							 .exe_path = opts->exe_path,
							 .workers = 1,
							 .timeout = ASK_TIMEOUT,
							 .memory = ASK_MEMORY,
							 .max_outputs = 1};
		error = jq_client_new(&client, &rules->client, err);
	}
	buf_fini(&program);
	if (error < 0)
		free(rules);
	else
		*ret_rules = rules;
	return error;
}

void step_http_rules_close(struct http_rules *rules)
{
	if (rules)
		jq_client_free(rules->client);
	free(rules);
}

bool step_http_rules_read_meta(const struct step_http_config *config)
{
	const struct step_http_rule *rules = rules_of(config);
	bool reads = false;
	for (size_t i = 0; i < config->when.n; i++)
		reads = reads || jq_reads_meta(rules[i].condition) ||
			(rules[i].after.program && jq_reads_meta(rules[i].after.program));
	return reads;
}

/* ---- an answer */

/* JSON as it is, other text as a text; null: it is empty, or no text. */
static void put_body(struct buf *out, const struct http_response *response)
{
	size_t n;
	const char *body = step_http_text(response, &n);
	struct json *json = NULL;
	if (n && json_parse(body, n, &json, NULL) == 0)
		json_put_raw(out, "body", body, n);
	else
		json_put_bytes(out, "body", n && json_utf8_valid(body, n) ? body : NULL, n);
	json_free(json);
}

static void write_answer(const struct step_call *call, const struct http_response *response, struct buf *out)
{
	json_open(out, NULL, '{');
	json_put_int(out, "status", response->status);
	step_http_put_headers(out, response);
	put_body(out, response);
	json_put_uint(out, "attempt", call->attempt);
	json_close(out, '}');
}

/* What the program says is wrong, on one line. */
static enum step_verdict fail_rule(const struct http_rules *rules, struct step_call *call, size_t number,
				   const char *why)
{
	char line[200];
	bool is_named = number && number <= rules->n && rules->all[number - 1].name;
	snprintf(line, sizeof line, "%s", why);
	for (char *at = line; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = ' ';
	if (is_named)
		return step_say(call, STEP_DEAD, "%s: %s", rules->key, line);
	return step_say(call, STEP_DEAD, "%s: rule %zu: %s", rules->key, number, line);
}

/* What the program gave; see the top. */
static enum step_verdict read_decision(const struct http_rules *rules, struct step_call *call, const struct json *given,
				       size_t *ret_number, weir_nsec *ret_after)
{
	size_t number = (size_t)json_member_int(given, "rule");
	const char *why = json_member_text(given, "why");
	double seconds = json_member_real(given, "after"); /* NAN: nothing */
	if (*why)
		return fail_rule(rules, call, number, why);
	*ret_number = number <= rules->n ? number : 0;
	*ret_after = seconds > 0 ? (weir_nsec)((seconds < AFTER_MOST ? seconds : AFTER_MOST) * (double)WEIR_SEC) : 0;
	if (*ret_number && !rules->all[number - 1].after.program)
		*ret_after = rules->all[number - 1].after.time;
	return STEP_OK;
}

static enum step_verdict fail(const struct http_rules *rules, struct step_call *call, enum step_verdict verdict)
{
	char why[sizeof call->why];
	memcpy(why, call->why, sizeof why);
	return step_say(call, verdict, "%s: %.240s", rules->key, why);
}

enum step_verdict step_http_rules_ask(struct http_rules *rules, struct step_call *call,
				      const struct http_response *response, size_t *ret_number, weir_nsec *ret_after)
{
	struct buf answer = {0};
	struct value_list given = {0};
	const struct json *json = NULL;
	write_answer(call, response, &answer);
	const struct value input = {.data = answer.data, .len = answer.len};
	enum step_verdict verdict = answer.failed ? step_say(call, STEP_RETRY, "out of memory")
						  : jq_client_run(rules->client, call, &input, &given);
	buf_fini(&answer);
	if (verdict == STEP_OK && (given.n != 1 || value_json(&given.values[0], &json, NULL) < 0))
		verdict = step_say(call, STEP_RETRY, "out of memory");
	verdict = verdict == STEP_OK ? read_decision(rules, call, json, ret_number, ret_after)
				     : fail(rules, call, verdict);
	value_list_fini(&given);
	return verdict;
}
