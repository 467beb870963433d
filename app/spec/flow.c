/* SPDX-License-Identifier: MIT */
/*
 * The section `flow`: how many at once, how many a second, how often again.
 *
 * A pattern is a preset for some of the keys; each of them can still be said by itself.  So the defaults of these keys
 * follow from the pattern, which is looked up before the table is filled:
 *
 *                concurrency   rate       what else the pattern stands for (weir/process.h)
 *     auto       auto          -          the permit is taken before the item
 *     queue      50            -          the same
 *     semaphore  100           -          items are taken first, and each waits for its permit
 *     chunked    100           -          so many items, and the next when the last of them is through
 *     rate       200           100/s      the permit is taken before the item
 *     naive      -             -          no permits: all at once
 *
 * To add a key: a row, and a field in plan.h; if it makes no sense with another one, a line in check_flow().
 */
#include <stdio.h>
#include <string.h>
#include <weir/process.h>

#include "spec/plan.h"
#include "spec/spec.h"

#define FIELD(name) offsetof(struct plan_settings, name)
#define DAYS(n)     ((n)*86400 * WEIR_SEC)

static const struct key retry_keys[] = {
	{"attempts", KEY_COUNT, FIELD(retry_attempts), "5", 1, 1000,
	 .text = "Maximum attempts of an item, the first included"},
	{"backoff", KEY_DURATIONS, FIELD(retry_backoff), "200ms..30s", WEIR_MSEC, DAYS(1),
	 .text = "First and longest wait before a retry; it doubles in between. One duration: always that"},
	{"jitter", KEY_ENUM, FIELD(retry_jitter), "full", .choices = "full|equal|decorrelated|none",
	 .text = "How waits are randomised. Full: between zero and the whole wait; equal: at least half of it; "
		 "decorrelated: from the first wait to three times the previous one; none: the whole wait"},
	{"budget", KEY_PERCENT, FIELD(retry_budget), "20%",
	 .text = "Maximum share of retries among the calls in flight; a retry beyond it waits (three are always "
		 "allowed)"},
	{"elapsed", KEY_DURATION, FIELD(retry_elapsed), NULL, WEIR_MSEC, DAYS(365),
	 .text = "No retry starts later than this after the first attempt; default: no limit"},
	{"max_retry_after", KEY_DURATION, FIELD(max_retry_after), "5m", WEIR_SEC, DAYS(1),
	 .text = "Longest wait that weir accepts from a server (Retry-After)"},
	{"throttled", KEY_DURATION, FIELD(retry_throttled), "10m", 0, DAYS(365),
	 .text = "An item that has been throttled (429) for this long, while its host served others, becomes a dead "
		 "letter; 0: never. While a host throttles everything, its items wait"},
	{0},
};

static const struct key breaker_keys[] = {
	{"failure_rate", KEY_PERCENT, FIELD(breaker_failure_rate), "50%",
	 .text = "The breaker opens when this share of the calls failed"},
	{"window", KEY_DURATION, FIELD(breaker_window), "30s", 100 * WEIR_MSEC, DAYS(1),
	 .text = "Only calls within this time count"},
	{"calls", KEY_COUNT, FIELD(breaker_calls), "20", 1, 1000000,
	 .text = "With fewer calls than this in the window the breaker stays closed"},
	{"open", KEY_DURATIONS, FIELD(breaker_open), "5s..30s", WEIR_MSEC, DAYS(1),
	 .text = "How long the breaker stays open, first and at most; the time doubles while probes fail"},
	{"probes", KEY_COUNT, FIELD(breaker_probes), "3", 1, 1000,
	 .text = "Trial calls while the breaker is half-open; most of them must succeed for it to close"},
	{"when_open", KEY_ENUM, FIELD(breaker_when_open), "defer", .choices = "defer|reject",
	 .text = "What happens to items while it is open. Defer: they wait, and no attempt is counted; reject: they "
		 "fail, which uses up an attempt"},
	{"slow", KEY_DURATION, FIELD(breaker_slow), NULL, WEIR_MSEC, DAYS(1),
	 .text = "A call that takes longer than this is slow; default: no call is"},
	{"slow_rate", KEY_PERCENT, FIELD(breaker_slow_rate), NULL,
	 .text = "The breaker also opens when this share of the calls is slow; default 100%"},
	{"denied", KEY_PERCENT, FIELD(breaker_denied), "50%",
	 .text = "The breaker also opens when this share of the last 20 answers is 401 or 403, as after a token has "
		 "expired: items wait instead of becoming dead letters. 0: never"},
	{"give_up", KEY_DURATION, FIELD(breaker_give_up), NULL, WEIR_MSEC, DAYS(365),
	 .text = "When no call to an upstream has succeeded for this long, the items that wait for it become dead "
		 "letters; default: they wait without limit"},
	{0},
};

static const struct key priority_keys[] = {
	{"field", KEY_FIELD, FIELD(priority_field), .flags = KEY_REQUIRED,
	 .text = "Where an item has its class: a whole number, 0 is the most urgent. An item without one has class "
		 "1,000,000"},
	{"aging", KEY_DURATION, FIELD(priority_aging), NULL, WEIR_MSEC, DAYS(365),
	 .text = "Waiting this long makes an item one class more urgent; default 5s"},
	{"sla", KEY_TIMES, FIELD(priority_sla), NULL, 0, PLAN_CLASS_MOST,
	 .text = "How long items of a class may wait for their first attempt, counted from when they are in memory; "
		 "weir counts and reports those that wait longer"},
	{0},
};

static const struct key timeout_keys[] = {
	{"attempt", KEY_DURATION, FIELD(timeout_attempt), NULL, WEIR_MSEC, DAYS(365),
	 .text = "Maximum time of an attempt, from when its upstream lets it in; an http step also has its own "
		 "timeout; "
		 "default: no limit"},
	{"queue", KEY_DURATION, FIELD(timeout_queue), NULL, WEIR_MSEC, DAYS(365),
	 .text = "An item that waits longer than this for its first attempt becomes a dead letter; default: no limit"},
	{"total", KEY_DURATION, FIELD(timeout_total), NULL, WEIR_MSEC, DAYS(365),
	 .text = "An item that is not finished after this time becomes a dead letter, however many attempts are left; "
		 "default: no limit"},
	{0},
};

const struct key spec_flow_keys[] = {
	{"pattern", KEY_ENUM, FIELD(pattern), "auto", .choices = "auto|queue|semaphore|chunked|rate|naive",
	 .text = "Preset for the keys below; `weir check --explain` shows what it sets"},
	{"concurrency", KEY_COUNT, FIELD(concurrency), "auto", 1, 100000, .choices = "auto",
	 .text = "Maximum items in flight. Auto: weir finds out how many each upstream can take. The default depends "
		 "on the pattern"},
	{"rate", KEY_RATE, FIELD(rate),
	 .text = "Maximum calls to each upstream in a time; default: no limit, except in the pattern rate"},
	{"burst", KEY_COUNT, FIELD(burst), NULL, 1, 1000000,
	 .text = "Calls that may start together after a pause; default 1: calls are evenly spaced"},
	{"retry", KEY_GROUP, 0, .group = retry_keys, .text = "What happens to items that fail"},
	{"breaker", KEY_GROUP, FIELD(breaker_off), .group = breaker_keys, .choices = "off",
	 .text = "When to stop calling an upstream that fails too often, and for how long"},
	{"priority", KEY_GROUP, 0, .group = priority_keys, .text = "Which items go first"},
	{"order_by", KEY_FIELD, FIELD(order_by),
	 .text = "Ordering key: items with the same value there are processed one after the other, in the order of the "
		 "source, retries included; with priority, the more urgent first"},
	{"max_memory", KEY_SIZE, FIELD(max_memory), NULL, 32 << 20, (int64_t)1 << 42,
	 .text = "Memory that weir and its child processes should stay under: fewer items are in flight where they are "
		 "large; default: no limit"},
	{"timeout", KEY_GROUP, 0, .group = timeout_keys, .text = "Time limits of an item"},
	{0},
};

struct preset {
	const char *name;
	const char *concurrency, *rate; /* as defaults of their keys */
	const char *text;
};

/* In the order of enum weir_pattern. */
static const struct preset presets[] = {
	{"auto", "auto", NULL, "a permit is taken before the item; weir finds how many the upstream can take"},
	{"queue", "50", NULL, "a permit is taken before the item"},
	{"semaphore", "100", NULL,
	 "items are taken immediately, within the bound of memory, and each waits for its permit"},
	{"chunked", "100", NULL, "batches of a fixed size, one after the other"},
	{"rate", "200", "100/s", "a permit is taken before the item, and the rate spaces the calls"},
	{"naive", NULL, NULL, "no permits: as many in flight as the system allows"},
};

static const struct spec_node *member(const struct spec_node *flow, const char *name)
{
	const struct spec_node *node = spec_node_member(flow, name);
	return node && !spec_node_is_null(node) ? node : NULL;
}

/* What is wrong is said where it stands. */
static int fail_key(struct spec_load *load, const struct spec_node *flow, const char *name, const char *text)
{
	const struct spec_node *node = member(flow, name);
	return spec_fail(load, node->key_line, node->key_column, "%s", text);
}

static int check_naive(struct spec_load *load, const struct spec_node *flow)
{
	static const char *const keys[] = {"concurrency", "rate", "burst", "order_by", "max_memory", "priority"};
	char text[160];
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		if (!member(flow, keys[i]))
			continue;
		snprintf(text, sizeof text,
			 "both %s and pattern: naive, which has no limits; remove one of them, or choose another "
			 "pattern",
			 keys[i]);
		return fail_key(load, flow, keys[i], text);
	}
	return 0;
}

/* Keys that the table allows one by one, but not together. */
static int check_flow(struct spec_load *load, const struct spec_node *flow, const struct plan_settings *settings)
{
	const struct spec_node *breaker = member(flow, "breaker"), *timeout = member(flow, "timeout");
	if (settings->pattern == WEIR_PATTERN_NAIVE && check_naive(load, flow) < 0)
		return WEIR_EINVAL;
	if (settings->pattern == WEIR_PATTERN_CHUNKED && !settings->concurrency)
		return fail_key(
			load, flow, "concurrency",
			"concurrency: auto with pattern: chunked, whose batches have a fixed size; set a number");
	if (settings->pattern == WEIR_PATTERN_SEMAPHORE && settings->priority_field)
		return fail_key(load, flow, "priority",
				"priority with pattern: semaphore, which takes items before it has permits, so there "
				"is nothing to prefer; choose another pattern");
	if (settings->burst && !settings->rate.count)
		return fail_key(load, flow, "burst", "burst without rate; set both, or neither");
	if (settings->breaker_slow_rate > 0 && !settings->breaker_slow)
		return fail_key(load, breaker, "slow_rate",
				"slow_rate without slow; set the time after which a call is slow");
	if (settings->timeout_total && settings->timeout_attempt > settings->timeout_total)
		return fail_key(load, timeout, "attempt", "timeout.attempt is longer than timeout.total");
	if (settings->timeout_total && settings->timeout_queue > settings->timeout_total)
		return fail_key(load, timeout, "queue", "timeout.queue is longer than timeout.total");
	return 0;
}

/* The pattern that the section names; what is no pattern is complained about when the table is filled. */
static const struct preset *find_preset(const struct spec_node *flow)
{
	const struct spec_node *node = member(flow, "pattern");
	for (int i = 0; node && node->kind == SPEC_SCALAR && i <= WEIR_PATTERN_NAIVE; i++)
		if (strcmp(node->text, presets[i].name) == 0)
			return &presets[i];
	return &presets[WEIR_PATTERN_AUTO];
}

int spec_flow_fill(struct spec_load *load, const struct spec_node *root, struct plan *plan)
{
	const struct spec_node *flow = member(root, "flow");
	const struct preset *preset = find_preset(flow);
	const struct spec_where where = {"flow", flow ? flow->key_line : 1, flow ? flow->key_column : 1};
	struct key rows[sizeof spec_flow_keys / sizeof spec_flow_keys[0]];
	memcpy(rows, spec_flow_keys, sizeof rows);
	for (struct key *row = rows; row->name; row++) {
		if (!strcmp(row->name, "concurrency"))
			row->fallback = preset->concurrency;
		else if (!strcmp(row->name, "rate"))
			row->fallback = preset->rate;
	}
	if (flow && flow->kind != SPEC_MAP)
		return spec_fail(load, flow->line, flow->column, "flow is %s, expected a map",
				 flow->kind == SPEC_LIST ? "a list" : "text");
	spec_explain_key(load, "flow");
	buf_addf(&load->explain, "\n  # %s: %s\n", preset->name, preset->text);
	load->indent = 1;
	int code = spec_fill(load, rows, flow, &where, &plan->settings);
	load->indent = 0;
	return code < 0 ? code : check_flow(load, flow, &plan->settings);
}
