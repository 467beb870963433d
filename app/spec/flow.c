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
	{"attempts", KEY_COUNT, FIELD(retry_attempts), "5", 1, 1000, .text = "Tries of an item in all"},
	{"backoff", KEY_DURATIONS, FIELD(retry_backoff), "200ms..30s", WEIR_MSEC, DAYS(1),
	 .text = "The first wait before a retry and the largest; it doubles in between"},
	{"jitter", KEY_ENUM, FIELD(retry_jitter), "full", .choices = "full|equal|decorrelated|none",
	 .text = "How waits are drawn. Full: from zero to their length; equal: from half of it; decorrelated: from the "
		 "first wait to three times the last one"},
	{"budget", KEY_PERCENT, FIELD(retry_budget), "20%",
	 .text = "A retry waits while more than this share of the calls in flight are retries (three always may)"},
	{"elapsed", KEY_DURATION, FIELD(retry_elapsed), NULL, WEIR_MSEC, DAYS(365),
	 .text = "No retry begins later than this after the first try"},
	{"max_retry_after", KEY_DURATION, FIELD(max_retry_after), "5m", WEIR_SEC, DAYS(1),
	 .text = "The longest wait that a server may ask for"},
	{0},
};

static const struct key breaker_keys[] = {
	{"failure_rate", KEY_PERCENT, FIELD(breaker_failure_rate), "50%",
	 .text = "It opens when this share of the calls failed"},
	{"window", KEY_DURATION, FIELD(breaker_window), "30s", 100 * WEIR_MSEC, DAYS(1),
	 .text = "Of the calls in this time"},
	{"calls", KEY_COUNT, FIELD(breaker_calls), "20", 1, 1000000,
	 .text = "With fewer calls in that time it stays closed"},
	{"open", KEY_DURATIONS, FIELD(breaker_open), "5s..30s", WEIR_MSEC, DAYS(1),
	 .text = "How long it stays open at first, and at most; the time doubles while probes fail"},
	{"probes", KEY_COUNT, FIELD(breaker_probes), "3", 1, 1000, .text = "Calls that then try whether all is well"},
	{"when_open", KEY_ENUM, FIELD(breaker_when_open), "park", .choices = "park|reject",
	 .text = "What becomes of items meanwhile. Park: they wait, and lose no try; reject: it costs them one"},
	{"slow", KEY_DURATION, FIELD(breaker_slow), NULL, WEIR_MSEC, DAYS(1),
	 .text = "A call that takes longer is slow; it opens, too, when too many are"},
	{"slow_rate", KEY_PERCENT, FIELD(breaker_slow_rate), NULL,
	 .text = "It opens when this share of the calls is slow; default 100%"},
	{0},
};

static const struct key priority_keys[] = {
	{"field", KEY_FIELD, FIELD(priority_field), .flags = KEY_REQUIRED,
	 .text = "Where an item has its class: a number, 0 is the most urgent. An item without one is the least "
		 "urgent: "
		 "class 1,000,000"},
	{"aging", KEY_DURATION, FIELD(priority_aging), NULL, WEIR_MSEC, DAYS(365),
	 .text = "An item that has waited this long counts as one class more urgent; default 5s"},
	{"sla", KEY_TIMES, FIELD(priority_sla), NULL, 0, PLAN_CLASS_MOST,
	 .text = "How long items of a class should wait for their first try, counted from when they are in "
		 "memory; how many waited longer is counted, and said"},
	{0},
};

static const struct key timeout_keys[] = {
	{"attempt", KEY_DURATION, FIELD(timeout_attempt), NULL, WEIR_MSEC, DAYS(365),
	 .text = "A try that takes longer has failed, its wait for the upstream's gate included; an http step has a "
		 "timeout of its own besides"},
	{"queue", KEY_DURATION, FIELD(timeout_queue), NULL, WEIR_MSEC, DAYS(365),
	 .text = "An item that was taken and has waited longer than this for its first try is dead"},
	{"total", KEY_DURATION, FIELD(timeout_total), NULL, WEIR_MSEC, DAYS(365),
	 .text = "An item that was taken is dead after this time, however many tries are left"},
	{0},
};

const struct key spec_flow_keys[] = {
	{"pattern", KEY_ENUM, FIELD(pattern), "auto", .choices = "auto|queue|semaphore|chunked|rate|naive",
	 .text = "A preset for what follows; `weir check --explain` shows what it stands for"},
	{"concurrency", KEY_COUNT, FIELD(concurrency), "auto", 1, 100000, .choices = "auto",
	 .text = "Items in the steps at once. Auto: each upstream is asked for as much as it can take; default by the "
		 "pattern"},
	{"rate", KEY_RATE, FIELD(rate), .text = "Most calls to each upstream in a time"},
	{"burst", KEY_COUNT, FIELD(burst), NULL, 1, 1000000,
	 .text = "Of that rate, how many may come at once after a pause; default 1: evenly spaced"},
	{"retry", KEY_GROUP, 0, .group = retry_keys, .text = "What happens to items that fail"},
	{"breaker", KEY_GROUP, FIELD(breaker_off), .group = breaker_keys, .choices = "off",
	 .text = "When an upstream fails too often it is left alone for a while"},
	{"priority", KEY_GROUP, 0, .group = priority_keys, .text = "Which items go first"},
	{"order_by", KEY_FIELD, FIELD(order_by),
	 .text = "Items that are equal there go one after the other, in the order of the source, retries included; "
		 "of different classes (priority) the more urgent first"},
	{"max_memory", KEY_SIZE, FIELD(max_memory), NULL, 32 << 20, (int64_t)1 << 42,
	 .text = "What weir and its helpers should stay under: fewer items are under way where they are large"},
	{"timeout", KEY_GROUP, 0, .group = timeout_keys, .text = "How long items may take"},
	{0},
};

struct preset {
	const char *name;
	const char *concurrency, *rate; /* as defaults of their keys */
	const char *text;
};

/* In the order of enum weir_pattern. */
static const struct preset presets[] = {
	{"auto", "auto", NULL, "a permit is taken before the item; as many at once as the upstream can take are found"},
	{"queue", "50", NULL, "a permit is taken before the item"},
	{"semaphore", "100", NULL,
	 "items are taken at once, as far as memory is bounded, and each waits for its permit"},
	{"chunked", "100", NULL, "so many items at once, and the next when the last of them is through"},
	{"rate", "200", "100/s", "a permit is taken before the item, and the rate spaces the calls"},
	{"naive", NULL, NULL, "no permits: as many at once as the system allows"},
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
			 "%s beside pattern: naive, which takes all items at once; expected one of them, or another "
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
		return fail_key(load, flow, "concurrency",
				"concurrency: auto beside pattern: chunked, whose batches have a fixed size; expected "
				"a number");
	if (settings->pattern == WEIR_PATTERN_SEMAPHORE && settings->priority_field)
		return fail_key(load, flow, "priority",
				"priority beside pattern: semaphore, which takes the items first and asks for permits "
				"later, so that none is left to be preferred; expected another pattern");
	if (settings->burst && !settings->rate.count)
		return fail_key(load, flow, "burst", "burst without rate; expected both, or none");
	if (settings->breaker_slow_rate > 0 && !settings->breaker_slow)
		return fail_key(load, breaker, "slow_rate",
				"slow_rate without slow; expected the time after which a call is slow, too");
	if (settings->timeout_total && settings->timeout_attempt > settings->timeout_total)
		return fail_key(load, timeout, "attempt",
				"timeout.attempt is longer than timeout.total; expected a shorter one");
	if (settings->timeout_total && settings->timeout_queue > settings->timeout_total)
		return fail_key(load, timeout, "queue",
				"timeout.queue is longer than timeout.total; expected a shorter one");
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
		return spec_fail(load, flow->line, flow->column, "flow is %s, expected a map with keys of its own",
				 flow->kind == SPEC_LIST ? "a list" : "a text");
	spec_explain_key(load, "flow");
	buf_addf(&load->explain, "\n  # %s: %s\n", preset->name, preset->text);
	load->indent = 1;
	int code = spec_fill(load, rows, flow, &where, &plan->settings);
	load->indent = 0;
	return code < 0 ? code : check_flow(load, flow, &plan->settings);
}
