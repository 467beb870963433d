/* SPDX-License-Identifier: MIT */
/* weir try FILE: what a pipeline does to its first items, before it is run for all of them.  Stores nothing. */
#include "cmd/cmd.h"
#include "cmd/descriptors.h"
#include "cmd/files.h"
#include "cmd/options.h"
#include "cmd/session.h"
#include "cmd/trial.h"
#include "cmd/trial_show.h"
#include "engine/life.h"
#include "spec/meaning.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { ITEMS = 3, ITEMS_MOST = 1000 };

struct try_options {
	uint64_t items; /* 0: not said */
	char *item;     /* one line; NULL: those of the source */
	bool json, allow_private;
};

struct
try {
	const struct try_options *opts;
	struct trial_view view;
	uint64_t items; /* that were taken */
	bool failed;    /* something could not be shown */
};

static void show_text(struct try *try, enum trial_event event, const struct buf *json)
{
	struct buf out = {0};
	struct json *noted = NULL;
	try->failed = try->failed || json_parse(json->data, json->len, &noted, NULL);
	if (noted)
		trial_show(&try->view, event, noted, &out);
	json_free(noted);
	try->failed = try->failed || out.failed;
	if (!out.failed && out.len)
		fwrite(out.data, 1, out.len, stdout);
	buf_fini(&out);
}

/* As it comes: what is next may take long. */
static void show(void *arg, enum trial_event event, const struct buf *json)
{
	struct try *try = arg;
	try->items += event == TRIAL_ITEM;
	if (json->failed) {
		try->failed = true;
	} else if (!try->opts->json) {
		show_text(try, event, json);
	} else if (event == TRIAL_END) {
		terminal_put_exact(stdout, json->data, json->len);
		putchar('\n');
	}
	fflush(stdout);
}

static void say_end(const struct try *try, const struct trial *trial, const char *file, int code)
{
	bool ended = code == EXIT_DONE || code == EXIT_DEAD_LETTERS;
	if (trial_was_refused(trial))
		terminal_complain("weir try", "a run would wait before its next call, so no further item was sent");
	if (ended && !try->items)
		terminal_complain("weir try", "%s: the source has no items", file);
	if (ended && try->items && !try->opts->json) {
		fputs("Nothing was stored.  All items: weir run ", stdout);
		terminal_put(stdout, file);
		putchar('\n');
	}
}

static int try_plan(const struct plan *plan, const struct try_options *opts)
{
	struct trial *trial;
	struct try try = {.opts = opts, .view = {.plan = plan}};
	char *sink = spec_meaning_place(plan->meaning, "sink");
	const struct trial_options trial_opts = {.plan = plan,
						 .items = opts->items ? opts->items : ITEMS,
						 .item = opts->item,
						 .noted = show,
						 .arg = &try};
	int code = EX_UNAVAILABLE;
	try.view.sink = sink;
	terminal_look(STDOUT_FILENO, &try.view.terminal);
	if (!trial_new(&trial_opts, &trial)) {
		code = session_run(trial_plan(trial), &(struct session_options){.progress = PROGRESS_NONE,
										.allow_private = opts->allow_private});
		say_end(&try, trial, plan->file, code);
		trial_free(trial);
	} else {
		try.failed = true;
	}
	if (try.failed)
		terminal_complain("weir try", "%s", weir_strerror(WEIR_ENOMEM));
	free(sink);
	return try.failed ? EX_UNAVAILABLE : code;
}

static int try_file(const char *file, const struct try_options *opts)
{
	struct plan *plan;
	char *state;
	int code = descriptors_need(NULL, file);
	if (!code)
		code = cmd_load(file, NULL, NULL, false, &plan, &state);
	if (code)
		return code;
	cmd_warn(plan);
	code = try_plan(plan, opts);
	free(state);
	plan_free(plan);
	return code;
}

/* As one line, which an item is. */
static int set_item(void *arg, const char *value, struct weir_error *err)
{
	struct try_options *opts = arg;
	struct weir_error why = {0};
	struct json *json;
	size_t n;
	int code = json_parse(value, strlen(value), &json, &why);
	if (code)
		return weir_error_set(err, code, "\"%.60s\" is not JSON: %s", value, why.text);
	free(opts->item);
	opts->item = json_dump(json, &n);
	json_free(json);
	return opts->item ? 0 : weir_error_set(err, WEIR_ENOMEM, "out of memory");
}

#define AT(field) offsetof(struct try_options, field)

static const struct cmd_option options[] = {
	{"items", "N", "number of items, from the beginning of the source (default: 3)", AT(items), .letter = 'n',
	 .least = 1, .most = ITEMS_MOST},
	{"item", "JSON", "this item instead of those of the source", .set = set_item},
	{"json", NULL, "a JSON object per item, for programs", AT(json)},
	{"allow-private", NULL, "allow loopback and private addresses for hosts that come from item data",
	 AT(allow_private)},
	{0},
};

static const struct cmd_usage usage = {
	.verb = "try",
	.forms = "[OPTION ...] FILE",
	.about = "Sends the first items of the pipeline in FILE through its steps, one by one, and\n"
		 "shows for each: the request as a command line of curl, the answer, the value\n"
		 "after each step, and the row that would be written.  Stores nothing; one\n"
		 "attempt per request.  Exit code 0: all came through; 3: one failed.",
	.options = options,
};

int cmd_try(int argc, char **argv)
{
	struct try_options opts = {0};
	int words, code;
	if (!cmd_options_read(&usage, argc, argv, &opts, &words, &code)) {
		free(opts.item);
		return code;
	}
	if (words != 1)
		code = cmd_refuse(&usage, "%s", words ? "one FILE, not several" : "which FILE?");
	else if (opts.item && opts.items)
		code = cmd_refuse(&usage, "-n and --item exclude each other");
	else
		code = try_file(argv[0], &opts);
	free(opts.item);
	return code;
}
