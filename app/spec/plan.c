/* SPDX-License-Identifier: MIT */
/*
 * The top of a config: which keys there are, what belongs to which adapter, in which order it is read and explained.
 *
 *     text --yaml.c--> tree --here--> adapters found, tables filled (fill.c, value.c) --> jq programs compiled --> plan
 */
#include "spec/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/address.h"
#include "data/names.h"
#include "data/template.h"
#include "port/broker.h"
#include "port/sink.h"
#include "spec/meaning.h"
#include "spec/spec.h"

#define FIELD(name) offsetof(struct plan_settings, name)

static const struct key batch_keys[] = {
	{"items", KEY_COUNT, FIELD(batch_items), "500", 1, 100000,
	 .text = "Maximum items in one write; the default is 2000 for jsonl, csv and stdout"},
	{"bytes", KEY_SIZE, FIELD(batch_bytes), "1MiB", 1, 1 << 30, .text = "Maximum bytes in one write"},
	{"period", KEY_DURATION, FIELD(batch_period), "20ms", 0, 3600 * WEIR_SEC,
	 .text = "How long a write may wait for more items"},
	{0},
};

static const struct key stop_keys[] = {
	{"dead", KEY_PERCENT, FIELD(stop_dead), "50%",
	 .text = "Stop when this share of the first items, or of the last ones, are dead letters; 0: never"},
	{"of_first", KEY_COUNT, FIELD(stop_of_first), "200", 1, 1000000000,
	 .text = "Number of items at the beginning of the run that `dead` looks at"},
	{"of_last", KEY_COUNT, FIELD(stop_of_last), "1000", 0, 10000000,
	 .text = "Number of most recent items that `dead` looks at, at any time; 0: only those at the beginning"},
	{"dead_in_a_row", KEY_COUNT, FIELD(stop_in_a_row), "0", 0, 1000000000,
	 .text = "Stop when this many items in a row are dead letters; 0: never"},
	{"denied", KEY_DURATION, FIELD(stop_denied), "10m", 0, 365 * 86400 * WEIR_SEC,
	 .text = "Stop when an upstream has denied every call (flow.breaker.denied) for this long; 0: never"},
	{0},
};

static const struct key shutdown_keys[] = {
	{"drain", KEY_DURATION, FIELD(drain), "30s", 0, 86400 * WEIR_SEC,
	 .text = "How long items in flight may take to finish after SIGINT or SIGTERM; the rest stays unfinished"},
	{0},
};

static const struct key ready_keys[] = {
	{"depth", KEY_PERCENT, FIELD(ready_depth), NULL,
	 .text = "Not ready when more than this share of the broker's room is in use; default: never"},
	{"put_wait", KEY_DURATION, FIELD(ready_put_wait), NULL, WEIR_MSEC, 86400 * WEIR_SEC,
	 .text = "Not ready when the source has been waiting for room in the broker for longer; default: never"},
	{0},
};

static const struct key otlp_keys[] = {
	{"url", KEY_STRING, FIELD(otlp.url),
	 .text = "OTLP receiver, such as http://127.0.0.1:4318; /v1/traces and /v1/metrics are added. Default: that in "
		 "OTEL_EXPORTER_OTLP_ENDPOINT, or none"},
	{"headers", KEY_HEADERS, FIELD(otlp.headers), .text = "Headers of each request to it, such as credentials"},
	{"traces", KEY_PERCENT, FIELD(otlp.traces), "1%",
	 .text = "Share of the items whose traces are sent; those of items that fail or need retries are sent in any "
		 "case"},
	{"metrics", KEY_DURATION, FIELD(otlp.metrics), "10s", 0, 3600 * WEIR_SEC,
	 .text = "How often the metrics are sent; 0: never"},
	{"compression", KEY_ENUM, FIELD(otlp.compression), "gzip", .choices = "gzip|none",
	 .text = "Compression of the requests"},
	{0},
};

static const struct key observe_keys[] = {
	{"listen", KEY_STRING, FIELD(observe_listen), "127.0.0.1:0",
	 .text = "Address and port of the HTTP endpoint; port 0: a free one. A free one is also used when the port is "
		 "taken"},
	{"token", KEY_STRING, FIELD(observe_token), .flags = KEY_SECRET,
	 .text = "Token that readers must send (Authorization: Bearer), except for /healthz and /readyz; with a token "
		 "the "
		 "endpoint also shows texts of failures, which hold parts of answers"},
	{"otlp", KEY_GROUP, FIELD(otlp.off), .group = otlp_keys, .choices = "off",
	 .text = "Traces and metrics to an OpenTelemetry receiver"},
	{"ready", KEY_GROUP, 0, .group = ready_keys, .text = "When /readyz also says that the run is not ready"},
	{0},
};

const struct key spec_section_keys[] = {
	{"flow", KEY_GROUP, 0, .group = spec_flow_keys, .text = "Concurrency, rate limits, retries and timeouts"},
	{"batch", KEY_GROUP, 0, .group = batch_keys, .text = "How outputs are collected into writes"},
	{"stop_when", KEY_GROUP, 0, .group = stop_keys, .text = "When to stop a run that fails too often"},
	{"shutdown", KEY_GROUP, 0, .group = shutdown_keys, .text = "How a run ends on a signal"},
	{"observe", KEY_GROUP, FIELD(observe_off), .group = observe_keys, .choices = "off",
	 .text = "Metrics and state of the run over HTTP"},
	{0},
};

static const char *const top_names[] = {"name", "source",      "broker",    "key",      "steps",   "flow",
					"sink", "dead_letter", "stop_when", "shutdown", "observe", NULL};

/* "; it belongs under flow.retry" for a key of a group that stands at the top. */
static void add_home(const struct key *groups, const char *parent, const char *name, struct buf *out)
{
	for (const struct key *group = groups; group->name; group++) {
		for (const struct key *key = group->group; key && key->name; key++)
			if (strcmp(key->name, name) == 0)
				buf_addf(out, "; it belongs under %s%s%s", parent, *parent ? "." : "", group->name);
		if (group->group == spec_flow_keys)
			add_home(spec_flow_keys, "flow", name, out);
	}
}

/* `source { jsonl: a }` has no key `source`. */
static void add_colon(const struct names *names, const char *key, struct buf *out)
{
	char word[32];
	snprintf(word, sizeof word, "%.*s", (int)strcspn(key, " "), key);
	if (key[strlen(word)] && names_have(names, word))
		buf_addf(out, "; a colon is missing behind \"%s\"", word);
}

static int check_top(struct spec_load *load, const struct spec_node *root)
{
	struct names names = {0};
	if (root->kind != SPEC_MAP)
		return spec_fail(load, root->line, root->column,
				 "the file is %s, expected a map with source, steps and sink",
				 root->kind == SPEC_LIST ? "a list" : "plain text");
	for (const char *const *name = top_names; *name; name++)
		names_add(&names, *name);
	for (const struct spec_node *child = root->children; child; child = child->next) {
		if (names_have(&names, child->key))
			continue;
		struct buf text = {0};
		buf_addf(&text, "unknown key \"%.80s\"", child->key);
		size_t said = text.len;
		add_colon(&names, child->key, &text);
		add_home(spec_section_keys, "", child->key, &text);
		if (text.len == said)
			names_describe(&names, child->key, &text);
		return spec_fail_text(load, child->key_line, child->key_column, &text);
	}
	return 0;
}

static int fill_name(struct spec_load *load, const struct spec_node *root, struct plan *plan)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	char fallback[65];
	const char *slash = strrchr(plan->file, '/');
	snprintf(fallback, sizeof fallback, "%s", slash ? slash + 1 : plan->file);
	char *dot = strrchr(fallback, '.');
	if (dot && dot > fallback)
		*dot = 0;
	for (char *c = fallback; *c; c++)
		*c = strchr(allowed, *c) && (*c != '-' || c > fallback) ? *c : '_';
	const struct key rows[] = {
		{"name", KEY_STRING, FIELD(name), fallback[0] ? fallback : "pipeline", .text = ""},
		{0},
	};
	const struct spec_node *node = spec_node_member(root, "name");
	struct spec_single single;
	const struct spec_node *map = spec_node_single(&single, "name", node);
	int code = spec_fill(load, rows, map, &(struct spec_where){"the file", 1, 1}, &plan->settings);
	const char *name = plan->settings.name;
	if (code < 0 || (name[0] && name[0] != '-' && strlen(name) <= 64 && strspn(name, allowed) == strlen(name)))
		return code;
	return spec_fail(load, node ? node->line : 1, node ? node->column : 1,
			 "name is \"%.80s\", expected up to 64 letters, digits, _ and -", node ? node->text : name);
}

static int fill_group(struct spec_load *load, const char *name, const struct spec_node *node, struct plan *plan)
{
	const struct key *row = spec_section_keys;
	while (strcmp(row->name, name) != 0)
		row++;
	struct key rows[] = {*row, {0}};
	struct spec_single single;
	const struct spec_node *map = spec_node_single(&single, name, node);
	return spec_fill(load, rows, map, &(struct spec_where){"the file", 1, 1}, &plan->settings);
}

/* The sink may have a default of its own. */
static int fill_batch(struct spec_load *load, const struct spec_node *root, struct plan *plan)
{
	struct key keys[sizeof batch_keys / sizeof batch_keys[0]];
	const char *items = plan->sink.adapter->sink->batch_items;
	const struct key rows[] = {{"batch", KEY_GROUP, 0, .group = keys, .text = ""}, {0}};
	struct spec_single single;
	memcpy(keys, batch_keys, sizeof keys);
	keys[0].fallback = items ? items : keys[0].fallback;
	const struct spec_node *node = spec_node_member(spec_node_member(root, "sink"), "batch");
	load->indent = 1;
	int code = spec_fill(load, rows, spec_node_single(&single, "batch", node),
			     &(struct spec_where){"the file", 1, 1}, &plan->settings);
	load->indent = 0;
	return code;
}

static int check_otlp(struct spec_load *load, const struct spec_node *node, const struct plan_otlp *otlp)
{
	const struct spec_node *at = node ? spec_node_member(node, "url") : NULL;
	if (otlp->url && strncmp(otlp->url, "http://", 7) && strncmp(otlp->url, "https://", 8))
		return spec_fail(load, at ? at->line : 1, at ? at->column : 1,
				 "observe.otlp.url is \"%.80s\", expected a URL like http://127.0.0.1:4318", otlp->url);
	for (size_t i = 0; i < otlp->headers.n; i++)
		if (!template_is_constant(otlp->headers.headers[i].value)) {
			at = spec_node_member(node, "headers");
			return spec_fail(
				load, at->line, at->column,
				"observe.otlp.headers: %.80s has a hole, but there is no item that could fill it",
				otlp->headers.headers[i].name);
		}
	return 0;
}

static int fill_observe(struct spec_load *load, const struct spec_node *root, struct plan *plan)
{
	const struct spec_node *node = spec_node_member(root, "observe"), *at;
	const struct plan_settings *settings = &plan->settings;
	struct address address;
	int code = fill_group(load, "observe", node, plan);
	if (code < 0 || settings->observe_off)
		return code;
	if (!address_read(settings->observe_listen, &address)) {
		at = spec_node_member(node, "listen");
		return spec_fail(load, at->line, at->column,
				 "observe.listen is \"%.80s\", expected an address and a port, like 127.0.0.1:9464 "
				 "or [::1]:0",
				 settings->observe_listen);
	}
	if (settings->observe_token && !*settings->observe_token) {
		at = spec_node_member(node, "token");
		return spec_fail(load, at->line, at->column, "observe.token is empty");
	}
	if (!settings->observe_token && !address_is_loopback(&address))
		spec_warn(load, node->line, node->column,
			  "every machine that reaches %s can read the figures of the run; observe.token keeps "
			  "strangers out",
			  settings->observe_listen);
	return node ? check_otlp(load, spec_node_member(node, "otlp"), &settings->otlp) : 0;
}

/* A key that stands somewhere in the file. */
static const struct spec_node *written(const struct spec_node *root, const char *section, const char *key)
{
	const struct spec_node *node = spec_node_member(spec_node_member(root, section), key);
	return node && !spec_node_is_null(node) ? node : NULL;
}

/* A broker that others share hands its items to whoever has room, and a sink's place in a file is nobody's there. */
static int check_shared(struct spec_load *load, const struct spec_node *root, const struct plan *plan)
{
	const struct sink_ops *sink = plan->sink.adapter->sink;
	const struct plan_settings *settings = &plan->settings;
	const char *broker = plan->broker.adapter->name, *what = NULL, *section = "flow", *key = "order_by";
	if (plan->broker.adapter->broker->exactness != BROKER_SHARED)
		return 0;
	if (settings->order_by) {
		what = "flow.order_by needs one process that has all items of a key";
	} else if (settings->order == ORDER_SOURCE) {
		what = "sink.order: source needs one process that has all rows";
		section = "sink", key = "order";
	} else if (settings->exactly_once == EXACTLY_ONCE_REQUIRED &&
		   (!sink->is_exact_shared || !sink->is_exact_shared(plan->sink.config))) {
		what = "sink.exactly_once: required cannot be had from this sink when several processes write to it";
		section = "sink", key = "exactly_once";
	}
	const struct spec_node *node = what ? written(root, section, key) : NULL;
	if (!what)
		return 0;
	return spec_fail(load, node ? node->key_line : 1, node ? node->key_column : 1,
			 "%s, and with the broker %s there may be several; remove it, or choose %s", what, broker,
			 settings->order_by || settings->order == ORDER_SOURCE
				 ? "the broker sqlite"
				 : "the sink postgres, sqlite or redis_stream");
}

static int load_pipeline(struct spec_load *load, const struct spec_node *root, struct plan *plan)
{
	int code = check_top(load, root);
	if (code == 0)
		code = fill_name(load, root, plan);
	if (code == 0)
		code = spec_source_fill(load, root, plan);
	if (code == 0)
		code = spec_broker_fill(load, root, plan);
	if (code == 0)
		code = spec_key_fill(load, root, plan);
	if (code == 0)
		code = spec_steps_fill(load, root, plan);
	if (code == 0)
		code = spec_flow_fill(load, root, plan);
	if (code == 0)
		code = spec_sink_fill(load, root, plan);
	if (code == 0)
		code = fill_batch(load, root, plan);
	if (code == 0)
		code = spec_dead_letter_fill(load, root, plan);
	if (code == 0)
		code = fill_group(load, "stop_when", spec_node_member(root, "stop_when"), plan);
	if (code == 0)
		code = fill_group(load, "shutdown", spec_node_member(root, "shutdown"), plan);
	if (code == 0)
		code = fill_observe(load, root, plan);
	if (code == 0)
		code = check_shared(load, root, plan);
	if (code == 0)
		code = spec_programs_check(load);
	if (code < 0)
		return code;
	plan->meaning = spec_meaning_write(root);
	buf_add_str(&load->warnings, "");
	plan->explained = buf_take(&load->explain, NULL);
	plan->warnings = buf_take(&load->warnings, NULL);
	return plan->explained && plan->warnings && plan->meaning ? 0 : spec_fail_memory(load);
}

static int fill_plan(struct spec_load *load, struct plan *plan)
{
	struct spec_node *root = NULL;
	plan->file = strdup(load->label);
	plan->folder = strdup(load->folder);
	if (!plan->file || !plan->folder)
		return spec_fail_memory(load);
	int code = spec_yaml_read(load->text, load->n, &root, load->err);
	if (code == 0 && root->kind == SPEC_MAP && load->opts && load->opts->name_only)
		code = fill_name(load, root, plan);
	else if (code == 0)
		code = load_pipeline(load, root, plan);
	spec_node_free(root);
	return code;
}

int spec_parse(const char *text, size_t n, const char *label, const char *folder, const struct spec_options *opts,
	       struct plan **ret_plan, struct weir_error *err)
{
	struct weir_error spare;
	if (!err)
		err = &spare;
	*err = (struct weir_error){0};
	snprintf(err->source, sizeof err->source, "%s", label);
	/* A byte order mark is skipped by the reader, and places count from behind it. */
	size_t bom = n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
	struct spec_load load = {
		.label = label, .folder = folder, .text = text + bom, .n = n - bom, .opts = opts, .err = err};
	struct plan *plan = calloc(1, sizeof *plan);
	load.files = plan ? &plan->files : NULL;
	int code = plan ? fill_plan(&load, plan) : spec_fail_memory(&load);
	spec_programs_free(&load);
	buf_fini(&load.explain);
	buf_fini(&load.warnings);
	if (code < 0) {
		plan_free(plan);
		return code;
	}
	*ret_plan = plan;
	return 0;
}

static void release_adapter(struct plan_adapter *at)
{
	if (at->config)
		spec_release(at->adapter->keys, at->config);
	free(at->config);
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	release_adapter(&plan->source);
	release_adapter(&plan->broker);
	release_adapter(&plan->sink);
	release_adapter(&plan->dead_letter);
	for (size_t i = 0; i < plan->step_count; i++)
		release_adapter(&plan->steps[i]);
	free(plan->steps);
	spec_release(spec_flow_keys, &plan->settings);
	spec_release(spec_key_keys, &plan->settings);
	spec_release(observe_keys, &plan->settings);
	free(plan->settings.name);
	files_fini(&plan->files);
	free(plan->explained);
	free(plan->warnings);
	free(plan->meaning);
	free(plan->folder);
	free(plan->file);
	free(plan);
}
