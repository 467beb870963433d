/* SPDX-License-Identifier: MIT */
/* weir history: what the runs of a pipeline have done, as their state remembers it. */
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/past.h"
#include "cmd/runs.h"
#include "data/terminal.h"
#include "data/units.h"
#include "state/folder.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROWS = 60 };

struct history_options {
	const char *run, *step;
	bool json;
};

/* --- for people --- */

/* The finest step of which the whole past has about ROWS rows. */
static int choose_step(const struct history *history, int64_t now, enum history_step *ret_step)
{
	struct history_row *rows;
	size_t n;
	for (enum history_step step = 0; step < HISTORY_HOUR; step++) {
		int64_t span = ROWS * history_seconds(step);
		int code = history_read(history, step + 1, 0, now, &rows, &n);
		bool is_all = !code && n && rows[n - 1].at - rows[0].at <= span;
		*ret_step = step;
		if (!code)
			free(rows);
		if (code || is_all || !n)
			return code;
	}
	*ret_step = HISTORY_HOUR;
	return 0;
}

static const char *mostly(const struct history_row *row)
{
	const float *spent = row->values + PAST_upstream_s;
	size_t most = 0;
	for (size_t i = 1; i < SPENT_PLACES; i++)
		if (spent[i] > spent[most])
			most = i;
	return spent[most] > 0 ? why_place_name((enum why_place)most) : "";
}

static void print_row(const struct history_row *row, enum history_step step)
{
	char at[32], rate[32], done[32], dead[32], retries[32], in_flight[32], attempt[32] = "";
	const float *values = row->values;
	time_t begin = row->at;
	struct tm tm;
	float settled = values[PAST_succeeded] + values[PAST_dead] + values[PAST_dropped];
	strftime(at, sizeof at, step == HISTORY_SECOND ? "%H:%M:%S" : "%H:%M", localtime_r(&begin, &tm));
	if (values[PAST_attempts] > 0)
		units_latency_text((weir_nsec)(values[PAST_attempt_s] / values[PAST_attempts] * (float)WEIR_SEC),
				   attempt);
	printf("  %-8s %9s %9s %6s %7s %9s %8s  %s\n", at, units_per_second_text((double)settled / row->looks, rate),
	       units_number_text((uint64_t)values[PAST_succeeded], done),
	       units_number_text((uint64_t)fmaxf(values[PAST_dead], 0), dead),
	       units_number_text((uint64_t)values[PAST_retries], retries),
	       units_number_text((uint64_t)(values[PAST_in_flight] + 0.5F), in_flight), attempt, mostly(row));
}

static void print_gap(int64_t seconds)
{
	char text[32];
	printf("  (no run for %s)\n", units_duration_text(seconds * WEIR_SEC, text));
}

static void print_day(const struct history_row *row, char day[32])
{
	char text[32];
	time_t at = row->at;
	struct tm tm;
	strftime(text, sizeof text, "%a %Y-%m-%d", localtime_r(&at, &tm));
	if (strcmp(text, day))
		puts(text);
	memcpy(day, text, sizeof text);
}

static int print_rows(const struct history *history, const struct history_options *opts, int64_t now)
{
	enum history_step step = HISTORY_SECOND;
	struct history_row *rows;
	size_t n;
	int code = opts->step ? !history_step_read(opts->step, &step) : choose_step(history, now, &step);
	if (!code)
		code = history_read(history, step, 0, now, &rows, &n);
	if (code)
		return code;
	int64_t seconds = history_seconds(step), longest = seconds == 1 ? 3 : seconds;
	char day[32] = "";
	if (n)
		printf("  %-8s %9s %9s %6s %7s %9s %8s  %s\n", history_step_name(step), "rate", "ok", "failed",
		       "retries", "in flight", "attempt", "mostly");
	for (size_t i = 0; i < n; i++) {
		if (i && rows[i].at - rows[i - 1].at > longest)
			print_gap(rows[i].at - rows[i - 1].at - seconds);
		print_day(&rows[i], day);
		print_row(&rows[i], step);
	}
	free(rows);
	return 0;
}

static int print_json(const struct history *history, const struct history_options *opts, int64_t now)
{
	enum history_step step = HISTORY_MINUTE;
	struct buf json = {0};
	if (opts->step)
		history_step_read(opts->step, &step);
	int code = history_json(history, step, 0, now, &json);
	if (!code)
		fwrite(json.data, 1, json.len, stdout);
	buf_fini(&json);
	return code;
}

/* --- the verb --- */

static int show(const char *folder, const struct history_options *opts, struct weir_error *err)
{
	struct history *history;
	char *path;
	if (asprintf(&path, "%s/" FOLDER_HISTORY, folder) < 0)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = history_look(path, past_figures, PAST_COUNT, &history, err);
	free(path);
	if (code == -ENOENT)
		return weir_error_set(err, code, "%s has no history: nothing has run, or observe is off", folder);
	if (code)
		return code;
	code = (opts->json ? print_json : print_rows)(history, opts, time(NULL));
	history_close(history);
	return code ? weir_error_set(err, code, "%s: %s", folder, weir_strerror(code)) : 0;
}

#define AT(field) offsetof(struct history_options, field)

static const struct cmd_option options[] = {
	{"step", "STEP", "1s (the last hour), 1m (a week) or 1h (90 days); default: the finest that shows all",
	 AT(step)},
	{"json", NULL, "a JSON object, as /api/v1/history answers it (default step: 1m)", AT(json)},
	{0},
};

static const struct cmd_usage usage = {
	.verb = "history",
	.forms = "[OPTION ...] [RUN]",
	.about = "What the runs of a pipeline have done: a row for each second, minute or hour,\n"
		 "also of runs that have ended or were killed.  RUN is as of weir status.",
	.options = options,
};

int cmd_history(int argc, char **argv)
{
	struct history_options opts = {0};
	struct weir_error err = {0};
	enum history_step step;
	char *folder = NULL;
	int words, code;
	if (!cmd_options_read(&usage, argc, argv, &opts, &words, &code))
		return code;
	if (words > 1)
		return cmd_refuse(&usage, "one RUN, not several");
	if (opts.step && !history_step_read(opts.step, &step))
		return cmd_refuse(&usage, "--step is %s, expected 1s, 1m or 1h", opts.step);
	code = runs_find(words ? argv[0] : NULL, &folder, &err);
	if (!code)
		code = show(folder, &opts, &err);
	free(folder);
	if (code)
		terminal_complain("weir history", "%s", err.text);
	return cmd_exit_of(code);
}
