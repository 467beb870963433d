/* SPDX-License-Identifier: MIT */
#include "cmd/card.h"

#include "cmd/bottleneck.h"
#include "cmd/words.h"
#include "data/units.h"
#include "engine/life.h"

#include <stdio.h>
#include <string.h>
#include <weir/weir.h>

enum { NUMBER_END = 15, TEXT_AT = 20, ROOM_LEAST = 40, CAUSES_SHOWN = 3 };

/* "  LABEL   NUMBER   " */
static void add_label(const char *label, const char *number, struct buf *out)
{
	buf_addf(out, "  %s %*s   ", label, NUMBER_END - 1 - (int)strlen(label), number);
}

static void add_row(const char *label, uint64_t n, struct buf *out)
{
	char number[32];
	add_label(label, units_number_text(n, number), out);
}

static void end_row(struct buf *out)
{
	while (out->len && out->data[out->len - 1] == ' ')
		out->data[--out->len] = 0;
	buf_add_char(out, '\n');
}

/* ---- the first line */

static void add_mark(int exit_code, const struct terminal *terminal, struct buf *out)
{
	if (!exit_code)
		terminal_add_ink(out, terminal, INK_GREEN, terminal->utf8 ? "✓" : "ok");
	else if (exit_code == EXIT_DEAD_LETTERS || exit_code == EXIT_STOPPED)
		terminal_add_ink(out, terminal, INK_YELLOW, "!");
	else
		terminal_add_ink(out, terminal, INK_RED, terminal->utf8 ? "✗" : "x");
}

static void add_pace(const struct report *report, struct buf *out)
{
	double wall = report_wall_seconds();
	uint64_t here = report_settled_here(report);
	char a[32], b[32], c[32];
	buf_addf(out, "%s item%s in %s", units_number_text(here, a), here == 1 ? "" : "s", units_seconds_text(wall, b));
	if (here && wall > 0)
		buf_addf(out, " (%s)", units_per_second_text((double)here / wall, c));
}

/* On a separate line, if it has no room. */
static void add_sink(const char *sink, size_t column, const struct terminal *terminal, struct buf *out)
{
	bool fits = column + strlen(" -> ") + strlen(sink) < terminal->columns;
	buf_add_str(out, fits ? " -> " : "\n  -> ");
	terminal_add(out, sink);
}

static void add_title(const struct report *report, int exit_code, const struct terminal *terminal, struct buf *out)
{
	const struct engine_stats *now = &report->now;
	char a[32], b[32];
	add_mark(exit_code, terminal, out);
	size_t begin = out->len;
	buf_addf(out, " %s: ", report->name);
	if (now->was_done) {
		buf_add_str(out, "already complete, nothing to do");
		if (now->dead)
			buf_addf(out, "; %s failed", units_number_text(now->dead, a));
		buf_add_str(out, " (--fresh starts over)\n");
		return;
	}
	if (now->state == ENGINE_SUBMITTED) {
		buf_addf(out, "%s items submitted, %s unfinished\n  weir status %s shows them\n",
			 units_number_text(now->read, a), units_number_text(now->unfinished, b), report->where);
		return;
	}
	if (now->state == ENGINE_FAILED)
		buf_add_str(out, "failed after ");
	else if (now->state != ENGINE_DONE)
		buf_add_str(out, "stopped after ");
	add_pace(report, out);
	if (now->settled_before)
		buf_addf(out, now->shared ? ", and %s by others" : ", after %s of earlier runs",
			 units_number_text(now->settled_before, a));
	if (report->sink && now->state == ENGINE_DONE)
		add_sink(report->sink, strlen("ok") + out->len - begin, terminal, out);
	else if (now->reason && now->state != ENGINE_FAILED) { /* else the failure is reported by itself */
		buf_add_str(out, "\n  stopped: ");
		terminal_add(out, now->reason);
	}
	buf_add_char(out, '\n');
}

/* ---- what became of the items */

/* The first line of a row's text stands behind its number, the others below. */
static void next_line(size_t line, struct buf *out)
{
	if (line)
		buf_addf(out, "\n%*s", TEXT_AT, "");
}

/* What to type, or to read. */
static void add_advice(const struct report *report, const struct terminal *terminal, size_t line, struct buf *out)
{
	static const char why[] = "why: weir dead ", again[] = "again: weir dead replay ";
	size_t where = report->where ? strlen(report->where) : 0;
	if (report->now.letters) {
		next_line(line, out);
		buf_addf(out, "%s%s", why, report->where);
		if (TEXT_AT + strlen(why) + where + strlen("   ") + strlen(again) + where < terminal->columns)
			buf_add_str(out, "   ");
		else
			next_line(line + 1, out);
		buf_addf(out, "%s%s", again, report->where);
	} else if (report->dead_letters) {
		next_line(line, out);
		buf_add_str(out, "why: ");
		terminal_add(out, report->dead_letters);
	}
}

/* On two lines at most. */
static void add_cause(const struct engine_cause *cause, const struct terminal *terminal, size_t *lines, struct buf *out)
{
	char number[32], count[40];
	size_t room = terminal->columns < TEXT_AT + ROOM_LEAST ? ROOM_LEAST : terminal->columns - 1 - TEXT_AT;
	room -= (size_t)snprintf(count, sizeof count, "%s x ", units_number_text(cause->letters, number));
	size_t n = terminal_fold(cause->text, room), more = n + (cause->text[n] == ' ');
	next_line((*lines)++, out);
	buf_add_str(out, count);
	terminal_add_cut(out, terminal, cause->text, n, room);
	if (!cause->text[more])
		return;
	next_line((*lines)++, out);
	buf_addf(out, "%*s", (int)strlen(count), "");
	terminal_add_cut(out, terminal, cause->text + more, strlen(cause->text + more), room);
}

/* Returns how many letters those are that are shown. */
static uint64_t add_causes(const struct engine_stats *now, const struct terminal *terminal, size_t *lines,
			   struct buf *out)
{
	uint64_t shown = 0;
	for (size_t i = 0; i < now->cause_count && i < CAUSES_SHOWN; i++) {
		add_cause(&now->causes[i], terminal, lines, out);
		shown += now->causes[i].letters;
	}
	return shown;
}

static void add_failed(const struct report *report, const struct terminal *terminal, struct buf *out)
{
	uint64_t dead = report->now.dead;
	size_t lines = 0;
	char number[32];
	if (!dead)
		return;
	add_row("failed", dead, out);
	uint64_t shown = add_causes(&report->now, terminal, &lines, out);
	if (lines && shown < dead) {
		next_line(lines++, out);
		buf_addf(out, "%s x others", units_number_text(dead - shown, number));
	}
	add_advice(report, terminal, lines, out);
	end_row(out);
}

static void add_items(const struct report *report, const struct terminal *terminal, struct buf *out)
{
	const struct engine_stats *now = &report->now;
	if (now->succeeded || !report_settled(report)) {
		add_row("ok", now->succeeded, out);
		end_row(out);
	}
	add_failed(report, terminal, out);
	if (now->dropped) {
		add_row("filtered", now->dropped, out);
		/* Of a run without a result a note has said which step it was. */
		buf_add_str(out, now->succeeded ? "a step made no output" : "");
		end_row(out);
	}
	if (now->unfinished) {
		add_row("unfinished", now->unfinished, out);
		buf_add_str(out, now->durable ? "the same command resumes" : "");
		end_row(out);
	}
}

/* ---- how fast, and why not faster */

static void add_attempts(const struct report *report, struct buf *out)
{
	const struct engine_stats *now = &report->now;
	char a[32], b[32];
	if (!now->attempts)
		return;
	add_row("attempts", now->attempts, out);
	if (now->retries)
		buf_addf(out, "%s retr%s, ", units_number_text(now->retries, a), now->retries == 1 ? "y" : "ies");
	if (report->flow.throttled)
		buf_addf(out, "%s rate-limited (429), ", units_number_text(report->flow.throttled, a));
	buf_addf(out, "p50 %s, p99 %s", units_latency_text(weir_histogram_quantile(now->attempt_ns, 0.5), a),
		 units_latency_text(weir_histogram_quantile(now->attempt_ns, 0.99), b));
	end_row(out);
}

/* A row of text, folded at its column. */
static void add_text(const char *label, const struct buf *from, const struct terminal *terminal, struct buf *out)
{
	size_t room = terminal->columns < TEXT_AT + ROOM_LEAST ? ROOM_LEAST : terminal->columns - 1 - TEXT_AT;
	const char *text = from->data ? from->data : "";
	add_label(label, "", out);
	for (size_t line = 0; *text; line++) {
		size_t n = terminal_fold(text, room);
		next_line(line, out);
		terminal_add_cut(out, terminal, text, n, room);
		text += n + (text[n] == ' ');
	}
	end_row(out);
}

static void add_bottleneck(const struct report *report, const struct terminal *terminal, struct buf *out)
{
	struct buf sentence = {0}, time = {0};
	if (report->whole.cause == WHY_END)
		return;
	bottleneck_add(report, &sentence);
	bottleneck_add_time(report, &time);
	add_text("bottleneck", &sentence, terminal, out);
	add_text("time", &time, terminal, out);
	buf_fini(&sentence);
	buf_fini(&time);
}

static void add_breaker(const struct report *report, struct buf *out)
{
	const struct engine_flow *flow = &report->flow;
	char n[32];
	if (flow->breaker_opened) {
		add_label("breaker", "", out);
		buf_addf(out, "opened %s time%s", units_number_text(flow->breaker_opened, n),
			 flow->breaker_opened == 1 ? "" : "s");
		end_row(out);
	}
}

void card_make(const struct report *report, int exit_code, const struct terminal *terminal, struct buf *out)
{
	add_title(report, exit_code, terminal, out);
	if (report->now.state == ENGINE_SUBMITTED)
		return;
	add_items(report, terminal, out);
	if (report->now.was_done)
		return;
	add_attempts(report, out);
	add_breaker(report, out);
	add_bottleneck(report, terminal, out);
	words_classes(&report->now, out);
}
