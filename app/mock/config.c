/* SPDX-License-Identifier: MIT */
/*
 * Rules are kept in the order of their options and searched from the first to the last: there are few of them, and a
 * search over a handful of prefixes costs less than any index would.
 */
#include "config.h"

#include <string.h>
#include <weir/random.h>

#include "data/units.h"

void mock_config_init(struct mock_config *config)
{
	*config = (struct mock_config){.error_status = 500};
	address_read("127.0.0.1:8080", &config->listen);
}

void mock_config_fini(struct mock_config *config)
{
	for (size_t i = 0; i < config->rule_count; i++)
		mock_latency_fini(&config->rules[i].latency);
	config->rule_count = 0;
}

int mock_config_listen(struct mock_config *config, const char *text, struct weir_error *err)
{
	if (address_read(text, &config->listen))
		return 0;
	return weir_error_set(err, WEIR_EINVAL,
			      "'%.100s' is not an address; expected ADDRESS:PORT such as 127.0.0.1:8080", text);
}

static struct mock_rule *add_rule(struct mock_config *config, enum mock_rule_kind kind, const char *text,
				  const char **ret_value, struct weir_error *err)
{
	const char *equals = text[0] == '/' ? strchr(text, '=') : NULL;
	if (text[0] == '/' && !equals) {
		weir_error_set(err, WEIR_EINVAL, "'%.100s' has no value; expected PREFIX=VALUE", text);
		return NULL;
	}
	if (config->rule_count == MOCK_RULES) {
		weir_error_set(err, WEIR_EINVAL, "more than %d rules", MOCK_RULES);
		return NULL;
	}
	struct mock_rule *rule = &config->rules[config->rule_count];
	*rule = (struct mock_rule){.kind = kind, .prefix = text, .prefix_bytes = equals ? (size_t)(equals - text) : 0};
	*ret_value = equals ? equals + 1 : text;
	return rule;
}

static int keep_rule(struct mock_config *config, int result)
{
	if (!result)
		config->rule_count++;
	return result;
}

int mock_config_latency(struct mock_config *config, const char *text, struct weir_error *err)
{
	const char *value;
	struct mock_rule *rule = add_rule(config, MOCK_RULE_LATENCY, text, &value, err);
	return rule ? keep_rule(config, mock_latency_parse(value, &rule->latency, err)) : WEIR_EINVAL;
}

int mock_config_errors(struct mock_config *config, const char *text, struct weir_error *err)
{
	const char *value;
	struct mock_rule *rule = add_rule(config, MOCK_RULE_ERRORS, text, &value, err);
	if (!rule)
		return WEIR_EINVAL;
	if (!units_share(value, strlen(value), &rule->chance))
		return weir_error_set(err, WEIR_EINVAL, "'%.100s' is not a percentage; expected a value such as 5%%",
				      value);
	return keep_rule(config, 0);
}

int mock_config_fault(struct mock_config *config, const char *text, struct weir_error *err)
{
	const char *value;
	struct mock_rule *rule = add_rule(config, MOCK_RULE_FAULT, text, &value, err);
	if (!rule)
		return WEIR_EINVAL;
	const char *colon = strrchr(value, ':');
	size_t name_bytes = colon ? (size_t)(colon - value) : strlen(value);
	struct mock_span rest = {value, name_bytes};
	rule->chance = 1;
	if (!rule->prefix_bytes)
		return weir_error_set(err, WEIR_EINVAL, "'%.100s' has no path; expected PREFIX=FAULT[:PERCENT]", text);
	if (colon && !units_share(colon + 1, strlen(colon + 1), &rule->chance))
		return weir_error_set(err, WEIR_EINVAL, "'%.100s' is not a percentage; expected a value such as 5%%",
				      colon + 1);
	int result = mock_fault_parse(&rest, &rule->fault, err);
	if (!result && rest.n)
		result = weir_error_set(err, WEIR_EINVAL, "unexpected '%.*s' after the name of the fault",
					(int)(rest.n > 100 ? 100 : rest.n), rest.at);
	return keep_rule(config, result);
}

int mock_config_limit_headers(struct mock_config *config, const char *text, struct weir_error *err)
{
	static const char *const names[] = {"none", "ratelimit", "ratelimit-old", "x-ratelimit"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(text, names[i])) {
			config->limit_headers = (enum mock_limit_headers)i;
			return 0;
		}
	return weir_error_set(err, WEIR_EINVAL,
			      "invalid value '%.100s'; expected ratelimit, ratelimit-old, x-ratelimit or none", text);
}

int mock_config_retry_after(struct mock_config *config, const char *text, struct weir_error *err)
{
	int64_t seconds;
	config->retry_after = NULL;
	config->retry_after_date = !strcmp(text, "date");
	if (config->retry_after_date)
		return 0;
	if (!strcmp(text, "none"))
		config->retry_after = "";
	else if (units_count(text, strlen(text), 0, UINT32_MAX, &seconds))
		config->retry_after = text;
	else
		return weir_error_set(err, WEIR_EINVAL, "invalid value '%.100s'; expected seconds, date or none", text);
	return 0;
}

/* A prefix ends where a part of the path ends: /orders/7 holds for /orders/7 and /orders/7/x, not for /orders/70. */
static bool holds(const struct mock_rule *rule, enum mock_rule_kind kind, struct mock_span path)
{
	size_t n = rule->prefix_bytes;
	if (rule->kind != kind || n > path.n || memcmp(rule->prefix, path.at, n) != 0)
		return false;
	return !n || n == path.n || rule->prefix[n - 1] == '/' || path.at[n] == '/';
}

static const struct mock_rule *find(const struct mock_config *config, enum mock_rule_kind kind, struct mock_span path)
{
	const struct mock_rule *best = NULL;
	for (size_t i = 0; i < config->rule_count; i++) {
		const struct mock_rule *rule = &config->rules[i];
		if (holds(rule, kind, path) && (!best || rule->prefix_bytes >= best->prefix_bytes))
			best = rule;
	}
	return best;
}

weir_nsec mock_config_draw_latency(const struct mock_config *config, struct mock_span path, uint64_t *random)
{
	const struct mock_rule *rule = find(config, MOCK_RULE_LATENCY, path);
	return rule ? mock_latency_draw(&rule->latency, random) : 0;
}

bool mock_config_draw_error(const struct mock_config *config, struct mock_span path, uint64_t *random)
{
	const struct mock_rule *rule = find(config, MOCK_RULE_ERRORS, path);
	return rule && weir_random_unit(random) < rule->chance;
}

const struct mock_fault *mock_config_draw_fault(const struct mock_config *config, struct mock_span path,
						uint64_t *random)
{
	const struct mock_rule *best = find(config, MOCK_RULE_FAULT, path);
	if (!best)
		return NULL;
	double place = weir_random_unit(random);
	for (size_t i = 0; i < config->rule_count; i++) {
		const struct mock_rule *rule = &config->rules[i];
		if (!holds(rule, MOCK_RULE_FAULT, path) || rule->prefix_bytes != best->prefix_bytes)
			continue;
		if (place < rule->chance)
			return &rule->fault;
		place -= rule->chance;
	}
	return NULL;
}
