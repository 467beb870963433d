/* SPDX-License-Identifier: MIT */
/* weir status: where a run stands, alive or not; without its name all runs below this folder, a line each. */
#include "cmd/ask.h"
#include "cmd/cmd.h"
#include "cmd/fleet.h"
#include "cmd/options.h"
#include "cmd/runs.h"
#include "cmd/standing.h"
#include "data/json_writer.h"
#include "data/terminal.h"
#include "data/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { WHO_LEAST = 8 };

static uint64_t settled(const struct standing *run)
{
	return run->accounts.read - broker_unfinished_of(&run->accounts);
}

/* The time of today, the day of all before. */
static const char *ended_text(const struct standing *run, char text[32])
{
	time_t now = time(NULL);
	struct tm at, today;
	text[0] = 0;
	if (!run->ended || !localtime_r(&run->ended, &at) || !localtime_r(&now, &today))
		return text;
	bool is_today = at.tm_year == today.tm_year && at.tm_yday == today.tm_yday;
	strftime(text, 32, is_today ? "%H:%M" : "%Y-%m-%d", &at);
	return text;
}

/* "660 of 3,000", "660 of ~3,000"; where nobody knows how many there are "660 of 900+", which were read. */
static const char *done_text(const struct standing *run, char text[80])
{
	char a[32], b[32];
	uint64_t all = run->total >= 0 ? (uint64_t)run->total : run->accounts.read;
	snprintf(text, 80, "%s of %s%s%s", units_number_text(settled(run), a), run->is_estimate ? "~" : "",
		 units_number_text(all, b), run->total >= 0 ? "" : "+");
	return text;
}

/* --- one --- */

static void print_json(const struct standing *run)
{
	struct buf out = {0};
	json_open(&out, NULL, '{');
	json_put_text(&out, "event", "status");
	json_put_text(&out, "name", run->name);
	json_put_text(&out, "state", run->state);
	if (run->reason[0])
		json_put_text(&out, "reason", run->reason);
	if (run->ended)
		json_put_time(&out, "ended", run->ended);
	if (run->note[0]) {
		json_put_text(&out, "note", run->note);
	} else {
		json_put_uint(&out, "read", run->accounts.read);
		json_put_uint(&out, "succeeded", run->accounts.succeeded);
		json_put_uint(&out, "dead", run->accounts.dead);
		json_put_uint(&out, "dropped", run->accounts.dropped);
		json_put_uint(&out, "unfinished", broker_unfinished_of(&run->accounts));
		json_put_uint(&out, "letters", run->letters);
	}
	if (run->total >= 0)
		json_put_int(&out, "total", run->total);
	if (run->next[0])
		json_put_text(&out, "next", run->next);
	json_close(&out, '}');
	buf_add_char(&out, '\n');
	if (!out.failed)
		terminal_put_exact(stdout, out.data, out.len);
	buf_fini(&out);
}

static void word(const struct standing *run, struct buf *out)
{
	char ended[32], done[80], n[32];
	bool is_done = !strcmp(run->state, "done");
	if (run->note[0]) {
		buf_addf(out, "%s\n", run->note);
		return;
	}
	if (!strcmp(run->state, "new")) {
		buf_addf(out, "%s: no run has begun\n", run->name);
		return;
	}
	buf_addf(out, "%s: %s%s%s, ", run->name, run->state, run->ended ? " " : "", ended_text(run, ended));
	if (is_done)
		buf_addf(out, "%s items", units_number_text(run->accounts.read, n));
	else
		buf_addf(out, "%s done", done_text(run, done));
	buf_addf(out, ", %s failed", units_number_text(run->accounts.dead, n));
	if (run->next[0])
		buf_addf(out, "; %s %s", run->next, run->does);
	buf_add_char(out, '\n');
	if (run->reason[0])
		buf_addf(out, "  reason: %s\n", run->reason);
}

static void show(const struct standing *run, bool as_json)
{
	struct buf out = {0};
	if (run->answer.len) {
		cmd_answer_print(&run->answer, as_json);
	} else if (as_json) {
		print_json(run);
	} else {
		word(run, &out);
		terminal_put_lines(stdout, out.data, out.len);
	}
	buf_fini(&out);
}

static int show_one(const char *word, bool as_json)
{
	struct weir_error err = {0};
	struct standing run;
	char *folder = NULL;
	struct plan *plan = visit_find(word);
	if (plan)
		return visit_run(plan, "weir status", fleet_show, &as_json);
	int code = runs_find(word, &folder, &err);
	if (!code)
		code = standing_read(folder, &run, &err);
	free(folder);
	if (code) {
		terminal_complain("weir status", "%s", err.text);
		return cmd_exit_of(code);
	}
	show(&run, as_json);
	code = strcmp(run.state, "unreadable") == 0 ? EX_IOERR : 0;
	standing_fini(&run);
	return code;
}

/* --- all --- */

static void print_row(const struct standing *run, int width)
{
	char ended[32], done[80], n[32];
	bool known = !run->note[0] && strcmp(run->state, "new") != 0;
	printf("%-*s  ", width, run->who);
	printf("%-10s  %-10s  %20s  %8s%s", run->state, ended_text(run, ended), known ? done_text(run, done) : "",
	       known ? units_number_text(run->accounts.dead, n) : "", run->next[0] ? "  " : "");
	terminal_put(stdout, run->next);
	putchar('\n');
}

static void print_table(const struct standing *all, int n)
{
	int width = WHO_LEAST;
	for (int i = 0; i < n; i++)
		if ((int)strlen(all[i].who) > width)
			width = (int)strlen(all[i].who);
	printf("%-*s  %-10s  %-10s  %20s  %8s  %s\n", width, "RUN", "STATE", "ENDED", "DONE", "FAILED", "NEXT");
	for (int i = 0; i < n; i++)
		print_row(&all[i], width);
}

/* How many there are; what is no run is passed over. */
static int read_all(const struct runs *runs, struct standing *all)
{
	int n = 0;
	for (int i = 0; i < runs->n; i++) {
		struct weir_error err = {0};
		char *folder = runs_folder(runs->all[i]->d_name);
		n += folder && !standing_read(folder, &all[n], &err);
		free(folder);
	}
	return n;
}

static int show_all(bool as_json)
{
	struct runs runs;
	runs_list(&runs);
	struct standing *all = calloc((size_t)runs.n + 1, sizeof *all);
	int n = all ? read_all(&runs, all) : 0;
	if (!n)
		fputs("weir status: there is no run in .weir/ below this folder\n"
		      "    for a pipeline that several processes share, name its file: weir status FILE\n",
		      stderr);
	else if (n > 1 && !as_json)
		print_table(all, n);
	for (int i = 0; i < n; i++) {
		if (n == 1 || as_json)
			show(&all[i], as_json);
		standing_fini(&all[i]);
	}
	free(all);
	runs_fini(&runs);
	return n ? 0 : EX_UNAVAILABLE;
}

struct status_options {
	bool as_json;
};

static const struct cmd_option options[] = {
	{"json", NULL, "print one JSON object a line", offsetof(struct status_options, as_json)},
	{0},
};

static const struct cmd_usage usage = {
	.verb = "status",
	.forms = "[--json] [RUN]",
	.about = "Shows where a run stands, alive or not, and what to type next.  Changes nothing.\n"
		 "RUN is its name, for .weir/RUN below this folder, its pipeline file, or its\n"
		 "state folder (default: all runs below this folder, a line each).  Of a pipeline\n"
		 "that several processes share, name the file: each process is shown.\n"
		 "Exit code 69: there is no such run.",
	.options = options,
};

int cmd_status(int argc, char **argv)
{
	struct status_options opts = {0};
	int words, code;
	if (!cmd_options_read(&usage, argc, argv, &opts, &words, &code))
		return code;
	if (words > 1)
		return cmd_refuse(&usage, "which run? One RUN, by its name, its file or its state folder");
	return words ? show_one(argv[0], opts.as_json) : show_all(opts.as_json);
}
