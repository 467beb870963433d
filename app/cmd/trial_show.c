/* SPDX-License-Identifier: MIT */
/*
 * Texts are folded to the terminal's width and cut after a few rows; what is to be copied, a command line, is neither.
 * All of them come from outside, so they are made visible before they are measured.
 */
#include "cmd/trial_show.h"

#include "data/json_writer.h"
#include "data/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/run.h>

enum { VALUE_ROWS = 3, BODY_ROWS = 10, COLUMN_MOST = 24, VALUES_SHOWN = 5, ROOM_LEAST = 10 };
enum { STEP_INDENT = 2, TEXT_INDENT = 4 };

/* Columns that are left behind so many. */
static size_t room(const struct trial_view *view, size_t taken)
{
	return view->terminal.columns > taken + 1 + ROOM_LEAST ? view->terminal.columns - 1 - taken : ROOM_LEAST;
}

/* ---- texts */

static void add_size(struct buf *out, uint64_t bytes)
{
	if (bytes < 1000)
		buf_addf(out, "%" PRIu64 " byte%s", bytes, bytes == 1 ? "" : "s");
	else if (bytes < 1000000)
		buf_addf(out, "%.1f KB", (double)bytes / 1e3);
	else
		buf_addf(out, "%.1f MB", (double)bytes / 1e6);
}

static void add_more(const struct trial_view *view, uint64_t bytes, unsigned indent, struct buf *out)
{
	struct buf text = {0};
	buf_addf(&text, "%s ", view->terminal.utf8 ? "…" : "...");
	add_size(&text, bytes);
	buf_add_str(&text, " more");
	buf_addf(out, "%*s", (int)indent, "");
	terminal_add_ink(out, &view->terminal, INK_DIM, text.failed ? "" : text.data);
	buf_add_char(out, '\n');
	buf_fini(&text);
}

/* Of a text that is not there as a whole: hidden more bytes of it are elsewhere. */
static void add_rows(const struct trial_view *view, const char *text, size_t n, size_t rows, unsigned indent,
		     uint64_t hidden, struct buf *out)
{
	struct buf visible = {0};
	size_t columns = room(view, indent), at = 0;
	buf_add_visible(&visible, text, n, true);
	for (size_t row = 0; row < rows && at < visible.len; row++) {
		const char *line = visible.data + at, *newline = memchr(line, '\n', visible.len - at);
		size_t length = newline ? (size_t)(newline - line) : visible.len - at;
		size_t taken = length ? terminal_take(line, length, columns) : 0;
		buf_addf(out, "%*s", (int)indent, "");
		terminal_add_cut(out, &view->terminal, line, taken, columns);
		buf_add_char(out, '\n');
		at += taken + (taken == length && newline);
	}
	uint64_t more = hidden + (visible.len - at);
	if (more)
		add_more(view, more, indent, out);
	buf_fini(&visible);
}

/* Several lines of JSON if it is that. */
static void add_body(const struct trial_view *view, const struct json *body, uint64_t all, struct buf *out)
{
	size_t n;
	const char *text = json_text(body, &n);
	struct buf lines = {0};
	uint64_t hidden = all > n ? all - n : 0;
	if (n && (*text == '{' || *text == '['))
		json_indent(&lines, text, n);
	if (lines.len && !lines.failed)
		add_rows(view, lines.data, lines.len, BODY_ROWS, TEXT_INDENT, hidden, out);
	else
		add_rows(view, text, n, BODY_ROWS, TEXT_INDENT, hidden, out);
	buf_fini(&lines);
}

static void add_value(const struct trial_view *view, const struct json *value, unsigned indent, struct buf *out)
{
	size_t n;
	char *text = json_dump(value, &n);
	if (text)
		add_rows(view, text, n, VALUE_ROWS, indent, 0, out);
	free(text);
}

static void add_inked(const struct trial_view *view, enum terminal_ink ink, const char *text, struct buf *out)
{
	struct buf visible = {0};
	terminal_add(&visible, text);
	terminal_add_ink(out, &view->terminal, ink, visible.data ? visible.data : "");
	buf_fini(&visible);
}

/* ---- a step */

static const char *mark_of(const struct terminal *terminal, enum terminal_ink ink)
{
	return ink == INK_GREEN ? (terminal->utf8 ? "✓" : "ok") : ink == INK_RED ? (terminal->utf8 ? "✗" : "x") : "!";
}

/* "! status: 503; a run would try again" */
static void add_verdict(const struct trial_view *view, enum terminal_ink ink, unsigned indent, const char *why,
			const char *means, struct buf *out)
{
	struct buf line = {0};
	size_t columns = room(view, indent + strlen("! "));
	buf_addf(&line, "%s%s%s", why, *why ? "; " : "", means);
	for (const char *rest = line.data; rest && *rest;) {
		size_t n = terminal_fold(rest, columns);
		bool is_first = rest == line.data;
		buf_addf(out, "%*s", (int)indent, "");
		terminal_add_ink(out, &view->terminal, ink, is_first ? mark_of(&view->terminal, ink) : " ");
		buf_add_char(out, ' ');
		terminal_add_cut(out, &view->terminal, rest, n, columns);
		buf_add_char(out, '\n');
		rest += n;
		rest += strspn(rest, " ");
	}
	buf_fini(&line);
}

static bool is_followed(const struct json *step)
{
	return !strcmp(json_member_text(step, "verdict"), "followed");
}

static void add_step_verdict(const struct trial_view *view, const struct json *step, struct buf *out)
{
	const char *verdict = json_member_text(step, "verdict"), *why = json_member_text(step, "why");
	bool again = view->plan->settings.retry_attempts > 1;
	if (!strcmp(verdict, "dropped"))
		add_verdict(view, INK_YELLOW, TEXT_INDENT, "", "dropped: the step made no output", out);
	else if (is_followed(step))
		add_verdict(view, INK_GREEN, TEXT_INDENT, "", "a redirect, which is followed", out);
	else if (!strcmp(verdict, "retry"))
		add_verdict(view, INK_YELLOW, TEXT_INDENT, why,
			    again ? "a run would try again" : "a dead letter (flow.retry.attempts is 1)", out);
	else if (!strcmp(verdict, "refused"))
		add_verdict(view, INK_YELLOW, TEXT_INDENT, why, "a run would wait, and try again", out);
	else if (!strcmp(verdict, "pause"))
		add_verdict(view, INK_YELLOW, TEXT_INDENT, why, "a run would pause, until you resume it", out);
	else if (!strcmp(verdict, "waits"))
		add_verdict(view, INK_YELLOW, TEXT_INDENT, why, "the next request asks again", out);
	else if (!strcmp(verdict, "dead"))
		add_verdict(view, INK_RED, TEXT_INDENT, why, "a dead letter", out);
}

/* A command line as it is to be copied: not folded. */
static void add_curl(const struct json *request, struct buf *out)
{
	const char *curl = json_member_text(request, "curl"), *end;
	for (; *curl; curl = *end ? end + 1 : end) {
		struct buf line = {0};
		end = strchrnul(curl, '\n');
		buf_add(&line, curl, (size_t)(end - curl));
		buf_addf(out, "%*s", TEXT_INDENT, "");
		terminal_add(out, line.data ? line.data : "");
		buf_add_char(out, '\n');
		buf_fini(&line);
	}
}

static void add_request(const struct trial_view *view, const struct json *request, struct buf *out)
{
	int64_t bytes = json_member_int(request, "body_bytes");
	if (!*json_member_text(request, "curl")) /* it could not be made */
		return;
	add_curl(request, out);
	if (!bytes)
		return;
	struct buf text = {0};
	buf_add_str(&text, "the body comes from the standard input, ");
	add_size(&text, (uint64_t)bytes);
	buf_add_char(&text, ':');
	buf_addf(out, "%*s", TEXT_INDENT, "");
	add_inked(view, INK_DIM, text.failed ? "" : text.data, out);
	buf_add_char(out, '\n');
	buf_fini(&text);
	add_body(view, json_member(request, "body"), (uint64_t)bytes, out);
}

static void add_headers(const struct trial_view *view, const struct json *headers, struct buf *out)
{
	const struct json *name, *value;
	size_t pos = 0, n;
	while (headers && (value = json_next(headers, &pos, &name))) {
		struct buf line = {0}, cut = {0};
		buf_addf(&line, "%s: %s", json_text(name, &n),
			 json_type(value) == JSON_TEXT ? json_text(value, &n) : "");
		terminal_add_cut(&cut, &view->terminal, line.data ? line.data : "", line.len, room(view, TEXT_INDENT));
		buf_addf(out, "%*s", TEXT_INDENT, "");
		terminal_add_ink(out, &view->terminal, INK_DIM, cut.data ? cut.data : "");
		buf_add_char(out, '\n');
		buf_fini(&line);
		buf_fini(&cut);
	}
}

static void add_time(double ms, struct buf *out)
{
	char text[32];
	buf_addf(out, "%s", units_latency_text((weir_nsec)(ms * (double)WEIR_MSEC), text));
}

static void add_response(const struct trial_view *view, const struct json *response, bool is_good, struct buf *out)
{
	const struct json *body = json_member(response, "body");
	char status[32];
	snprintf(status, sizeof status, "%" PRId64, json_member_int(response, "status"));
	buf_addf(out, "%*s", TEXT_INDENT, "");
	terminal_add_ink(out, &view->terminal, is_good ? INK_GREEN : INK_RED, status);
	buf_add_str(out, " in ");
	add_time(json_member_real(response, "latency_ms"), out);
	buf_add_char(out, '\n');
	add_headers(view, json_member(response, "headers"), out);
	if (body)
		add_body(view, body, (uint64_t)json_member_int(response, "body_bytes"), out);
}

/* Whether the body of the answer is the output, and so was shown. */
static bool is_answer(const struct json *step, const struct json *output)
{
	const struct json *response = json_member(step, "response");
	const char *body = response ? json_member_text(response, "body") : "";
	struct json *json = NULL;
	size_t n, m;
	if (!*body || json_parse(body, strlen(body), &json, NULL))
		return false;
	char *a = json_dump(json, &n), *b = json_dump(output, &m);
	bool same = a && b && n == m && !memcmp(a, b, n);
	free(a);
	free(b);
	json_free(json);
	return same;
}

static size_t count(const struct json *list)
{
	size_t pos = 0, n = 0;
	while (json_next(list, &pos, NULL))
		n++;
	return n;
}

/* "-> {"id":1}" */
static void add_outputs(const struct trial_view *view, const struct json *step, struct buf *out)
{
	const struct json *outputs = json_member(step, "outputs"), *value;
	size_t pos = 0, all = count(outputs), shown = 0, at;
	if (all == 1 && is_answer(step, json_at(outputs, ".[0]")))
		return;
	if (all > 1)
		buf_addf(out, "%*s%zu outputs\n", TEXT_INDENT, "", all);
	for (; shown < VALUES_SHOWN && (value = json_next(outputs, &pos, NULL)); shown++) {
		at = out->len;
		add_value(view, value, TEXT_INDENT + 3, out);
		if (!out->failed && at < out->len)
			memcpy(out->data + at + TEXT_INDENT, "-> ", 3);
	}
	if (shown < all)
		buf_addf(out, "%*s   and %zu more\n", TEXT_INDENT, "", all - shown);
}

static void add_step(const struct trial_view *view, const struct json *step, struct buf *out)
{
	const struct json *request = json_member(step, "request"), *response = json_member(step, "response");
	bool is_good = !strcmp(json_member_text(step, "verdict"), "ok") || is_followed(step);
	struct buf time = {0};
	buf_addf(&time, ", ");
	add_time(json_member_real(step, "ms"), &time);
	buf_addf(out, "%*sstep %" PRId64 " (%s)", STEP_INDENT, "", json_member_int(step, "step"),
		 json_member_text(step, "kind"));
	add_inked(view, INK_DIM, time.failed ? "" : time.data, out);
	buf_add_char(out, '\n');
	if (request)
		add_request(view, request, out);
	if (response)
		add_response(view, response, is_good, out);
	add_outputs(view, step, out);
	add_step_verdict(view, step, out);
	buf_fini(&time);
}

/* ---- rows */

static size_t widest_name(const struct json *row)
{
	const struct json *name;
	size_t pos = 0, n, widest = 0;
	while (json_next(row, &pos, &name)) {
		json_text(name, &n);
		widest = n > widest ? n : widest;
	}
	return widest < COLUMN_MOST ? widest : COLUMN_MOST;
}

/* Texts without quotes. */
static void add_column(const struct trial_view *view, const char *name, const struct json *value, size_t width,
		       struct buf *out)
{
	size_t n = 0, at = TEXT_INDENT + width + 2;
	char *dump = json_type(value) == JSON_TEXT ? NULL : json_dump(value, &n);
	const char *text = dump ? dump : json_type(value) == JSON_TEXT ? json_text(value, &n) : "";
	buf_addf(out, "%*s", TEXT_INDENT, "");
	size_t taken = terminal_add_cut(out, &view->terminal, name, strlen(name), width);
	buf_addf(out, "%*s", (int)(width - taken + 2), "");
	if (n && json_type(value) != JSON_NULL)
		terminal_add_cut(out, &view->terminal, text, n, room(view, at));
	else
		terminal_add_ink(out, &view->terminal, INK_YELLOW, n ? "null" : "(empty)");
	buf_add_char(out, '\n');
	free(dump);
}

static void add_columns(const struct trial_view *view, const struct json *row, struct buf *out)
{
	const struct json *name, *value;
	size_t pos = 0, n, width = widest_name(row);
	while ((value = json_next(row, &pos, &name)))
		add_column(view, json_text(name, &n), value, width, out);
}

static void add_rows_of(const struct trial_view *view, const struct json *rows, struct buf *out)
{
	const struct adapter *sink = view->plan->sink.adapter;
	const struct json *row;
	size_t pos = 0, shown = 0, all = count(rows);
	if (!all)
		return;
	if (all > 1)
		buf_addf(out, "%*s%zu rows of ", STEP_INDENT, "", all);
	else
		buf_addf(out, "%*srow of ", STEP_INDENT, "");
	terminal_add(out, view->sink ? view->sink : sink->name);
	buf_add_char(out, '\n');
	for (; shown < VALUES_SHOWN && (row = json_next(rows, &pos, NULL)); shown++)
		if (sink->sink->row)
			add_columns(view, row, out);
		else
			add_value(view, row, TEXT_INDENT, out);
	if (shown < all)
		buf_addf(out, "%*sand %zu more\n", TEXT_INDENT, "", all - shown);
}

/* ---- the item */

/* That a step failed was said there; what else can fail is the source, and the sink. */
static void add_end(const struct trial_view *view, const struct json *item, struct buf *out)
{
	const char *result = json_member_text(item, "result"), *why = json_member_text(item, "why");
	if (!strcmp(result, "failed") && !view->failed)
		add_verdict(view, INK_RED, STEP_INDENT, why, "a dead letter", out);
	add_rows_of(view, json_member(item, "rows"), out);
	buf_add_char(out, '\n');
}

/* "item 1: {"id":1}", on lines of its own if it is long. */
static void add_item(const struct trial_view *view, const struct json *item, struct buf *out)
{
	struct buf value = {0};
	size_t before = out->len;
	add_value(view, json_member(item, "item"), STEP_INDENT, &value);
	buf_addf(out, "item %" PRId64, json_member_int(item, "position"));
	size_t head = out->len - before;
	bool fits = value.len && strchr(value.data, '\n') == value.data + value.len - 1 &&
		    head + value.len < view->terminal.columns;
	buf_addf(out, fits ? ": %s" : "\n%s", value.len ? value.data + (fits ? STEP_INDENT : 0) : "");
	buf_fini(&value);
}

static bool is_failure(const struct json *step)
{
	const char *verdict = json_member_text(step, "verdict");
	return strcmp(verdict, "ok") != 0 && strcmp(verdict, "dropped") != 0 && !is_followed(step);
}

static void add_skipped(struct trial_view *view, struct buf *out)
{
	char number[32];
	if (view->skipped)
		buf_addf(out, "%*sstep %" PRId64 " with %s more values\n", STEP_INDENT, "", view->step,
			 units_number_text(view->skipped, number));
	view->skipped = 0;
}

/* A step that is run with many values is shown with a few; a failure always is. */
static void show_step(struct trial_view *view, const struct json *step, struct buf *out)
{
	view->failed = is_failure(step);
	if (json_member_int(step, "step") != view->step) {
		add_skipped(view, out);
		view->step = json_member_int(step, "step");
		view->runs = 0;
	}
	bool ends = !is_followed(step); /* what is done with a value */
	if (view->runs >= VALUES_SHOWN && !view->failed) {
		view->skipped += ends;
		return;
	}
	view->runs += ends;
	add_skipped(view, out);
	add_step(view, step, out);
}

void trial_show(struct trial_view *view, enum trial_event event, const struct json *json, struct buf *out)
{
	switch (event) {
	case TRIAL_ITEM:
		view->step = 0;
		view->runs = view->skipped = 0;
		view->failed = false;
		add_item(view, json, out);
		break;
	case TRIAL_STEP:
		show_step(view, json, out);
		break;
	case TRIAL_END:
		add_skipped(view, out);
		add_end(view, json, out);
		break;
	}
}
