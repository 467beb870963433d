/* SPDX-License-Identifier: MIT */
/* weir list: which components and sections there are, and the keys of one, both from the tables that the parser uses.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cmd/cmd.h"
#include "cmd/init.h"
#include "cmd/metrics.h"
#include "cmd/options.h"
#include "data/names.h"
#include "port/adapter.h"
#include "port/key.h"
#include "spec/plan.h"

struct list_options {
	bool json;
};

static const struct cmd_option options[] = {
	{"json", NULL, "Print the metrics as JSON", offsetof(struct list_options, json)},
	{0},
};

static const struct cmd_usage usage = {
	.verb = "list",
	.forms = "[NAME]",
	.about = "Lists the sources, brokers, steps, sinks and sections of a pipeline file.  With\n"
		 "the NAME of one, lists its keys: values, default, meaning.\n"
		 "`weir list templates` lists the templates of `weir init`,\n"
		 "`weir list metrics` the metrics of a run.",
	.options = options,
};

/* And frees it. */
static int print(struct buf *text)
{
	bool failed = text->failed;
	fwrite(text->data, 1, failed ? 0 : text->len, stdout);
	buf_fini(text);
	return failed ? EX_OSERR : 0;
}

static int list_all(void)
{
	struct buf out = {0};
	spec_describe_all(&out);
	buf_add_str(&out, "\n`weir list NAME` shows the keys of one, `weir list templates` the starter\n"
			  "files, `weir list metrics` the metrics of a run.\n");
	return print(&out);
}

static int fail_unknown(const char *name)
{
	struct names names = {0};
	for (const struct adapter *const *at = adapter_registry; *at; at++)
		names_add(&names, (*at)->name);
	for (const struct key *section = spec_section_keys; section->name; section++)
		names_add(&names, section->name);
	names_add(&names, "templates");
	names_add(&names, "metrics");
	return cmd_refuse_name(&usage, "component", name, &names);
}

/* A name may stand for several, such as the source and the sink `jsonl`. */
static int list_one(const char *name)
{
	struct buf out = {0};
	for (const struct adapter *const *at = adapter_registry; *at; at++) {
		if (strcmp((*at)->name, name) != 0)
			continue;
		if (out.len)
			buf_add_char(&out, '\n');
		spec_describe(*at, &out);
	}
	for (const struct key *section = spec_section_keys; section->name; section++)
		if (strcmp(section->name, name) == 0)
			spec_describe_section(section, &out);
	return out.len || out.failed ? print(&out) : fail_unknown(name);
}

static int list_metrics(bool json)
{
	static const struct report none;
	struct metrics *metrics;
	struct buf out = {0};
	if (metrics_new(&none, NULL, &metrics))
		return EX_OSERR;
	metrics_describe(metrics, json, &out);
	metrics_free(metrics);
	return print(&out);
}

int cmd_list(int argc, char **argv)
{
	struct list_options opts = {0};
	int words, code;
	if (!cmd_options_read(&usage, argc, argv, &opts, &words, &code))
		return code;
	if (words > 1)
		return cmd_refuse(&usage, "one NAME, not several");
	const char *name = words ? argv[0] : "";
	if (strcmp(name, "templates") == 0)
		return init_list();
	if (strcmp(name, "metrics") == 0)
		return list_metrics(opts.json);
	if (opts.json)
		return cmd_refuse(&usage, "--json is for `weir list metrics`");
	return words ? list_one(name) : list_all();
}
