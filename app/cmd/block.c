/* SPDX-License-Identifier: MIT */
/*
 * See block.h.  A line is made of parts, each a text with the width of its column; what has no room is left out, the
 * least important first.
 */
#include "cmd/block.h"

#include "cmd/bottleneck.h"
#include "data/units.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <weir/weir.h>

enum { INDENT = 8, NARROW = 60, NAME_MOST = 24, BAR_LEAST = 6, BAR_MOST = 48, GAP = 2, PARTS = 8 };

struct block_part {
	char text[80];
	size_t width; /* of its column; less than that of the text: the column is as wide as it */
	bool is_left; /* in the column */
	enum terminal_ink ink;
};

/* Of a line, in their order. */
struct parts {
	struct block_part all[PARTS];
	size_t n;
};

static struct block_part *add(struct parts *parts, const char *format, ...) __attribute__((format(printf, 2, 3)));

static struct block_part *add(struct parts *parts, const char *format, ...)
{
	struct block_part *part = &parts->all[parts->n++];
	va_list args;
	va_start(args, format);
	vsnprintf(part->text, sizeof part->text, format, args);
	va_end(args);
	return part;
}

static size_t width_of(const struct block_part *part)
{
	size_t n = strlen(part->text);
	return n > part->width ? n : part->width;
}

/* ---- the first line */

/* In the places of the rate and of the time left, when neither is known. */
static const char *name_hold(const struct report *report)
{
	if (report->now.state == ENGINE_DRAINING)
		return "stopping";
	if (report->now.state != ENGINE_RUNNING)
		return NULL;
	if (report->flow.paused)
		return "paused";
	if (report->now.degraded)
		return "disk full";
	return report_stands_still(report) ? "on hold" : NULL;
}

/* A total that is estimated may be too low. */
static double share_of(const struct report *report)
{
	double total = (double)report->now.total, settled = (double)report_settled(report);
	return settled < total ? settled / total : settled > 0 ? 1 : 0;
}

static void add_amount(const struct report *report, struct parts *parts)
{
	const struct engine_stats *now = &report->now;
	char settled[32], total[32];
	units_number_text(report_settled(report), settled);
	if (now->total < 0) {
		add(parts, "%s done", settled)->width = 12;
		return;
	}
	const char *about = now->total_exact ? "" : "~";
	units_number_text((uint64_t)now->total, total);
	add(parts, "%d %%", (int)(100 * share_of(report)))->width = 5;
	add(parts, "%s/%s%s", settled, about, total)->width = 2 * strlen(total) + 1 + strlen(about);
}

static void add_speed(const struct report *report, struct parts *parts)
{
	const char *hold = name_hold(report);
	double eta = report_eta(report);
	char text[32];
	struct block_part *left;
	add(parts, "%s", hold ? hold : units_per_second_text(report->rate, text))->width = 9;
	if (hold)
		left = add(parts, "%s", units_clock_text(report->looked_at - report->settled_at, text));
	else
		left = add(parts, "%s%s", eta < 0 ? "" : "ETA ", eta < 0 ? "" : units_seconds_text(eta, text));
	left->width = 12;
	left->is_left = true;
}

static void add_bar(const struct report *report, const struct terminal *terminal, size_t width, struct buf *out)
{
	size_t halves = (size_t)(share_of(report) * 2 * (double)width), whole = halves / 2;
	struct buf bar = {0};
	for (size_t i = 0; i < whole; i++)
		buf_add_str(&bar, terminal->utf8 ? "━" : "#");
	if (terminal->utf8 && halves % 2)
		buf_add_str(&bar, "╸");
	terminal_add_ink(out, terminal, INK_GREEN, bar.data ? bar.data : "");
	buf_fini(&bar);
	for (size_t i = whole + (terminal->utf8 ? halves % 2 : 0); i < width; i++)
		buf_add_char(out, terminal->utf8 ? ' ' : '-');
}

static size_t width_of_all(const struct parts *parts)
{
	size_t width = 0;
	for (size_t i = 0; i < parts->n; i++)
		width += GAP + width_of(&parts->all[i]);
	return width;
}

static void end_line(struct block *block, size_t width)
{
	buf_add_str(&block->text, "\033[K\n");
	block->widths[block->lines++] = width;
}

static void add_columns(const struct parts *parts, struct buf *out)
{
	for (size_t i = 0; i < parts->n; i++) {
		const struct block_part *part = &parts->all[i];
		int width = (int)width_of(part);
		buf_addf(out, "%*s%*s", GAP, "", part->is_left ? -width : width, part->text);
	}
}

/* What is left of a line of `room` columns is the name's and the bar's, which gets none (0) if it would be too short.
 */
static void share_room(size_t room, bool has_bar, size_t *ret_name, size_t *ret_bar)
{
	size_t name = *ret_name < NAME_MOST ? *ret_name : NAME_MOST;
	if (has_bar && room >= INDENT + BAR_LEAST && name + GAP + BAR_LEAST > room)
		name = room - GAP - BAR_LEAST;
	*ret_name = name < room ? name : room;
	name = name < INDENT - GAP ? INDENT - GAP : name;
	*ret_bar = !has_bar || name + GAP + BAR_LEAST > room ? 0 : room - name - GAP;
	if (*ret_bar > BAR_MOST)
		*ret_bar = BAR_MOST;
}

/* The last column stays free: some terminals go to the next line there. */
static void make_heading(const struct report *report, const struct terminal *terminal, struct block *block)
{
	struct parts parts = {0};
	size_t room = terminal->columns - 1, name = strlen(report->name), bar;
	add_amount(report, &parts);
	add_speed(report, &parts);
	while (parts.n > 1 && INDENT + width_of_all(&parts) > room)
		parts.n--;
	size_t columns = width_of_all(&parts), rest = room > columns ? room - columns : 0;
	share_room(rest, report->now.total >= 0 && terminal->columns >= NARROW, &name, &bar);
	size_t width = terminal_add_cut(&block->text, terminal, report->name, strlen(report->name), name);
	for (; width < INDENT - GAP && width < rest; width++)
		buf_add_char(&block->text, ' ');
	if (bar) {
		buf_addf(&block->text, "%*s", GAP, "");
		add_bar(report, terminal, bar, &block->text);
		width += GAP + bar;
	}
	add_columns(&parts, &block->text);
	end_line(block, width + columns);
}

/* ---- the second */

static void add_count(struct parts *parts, uint64_t n, const char *what, enum terminal_ink ink)
{
	char number[32];
	if (n)
		add(parts, "%s %s", units_number_text(n, number), what)->ink = ink;
}

static void add_counts(const struct report *report, struct parts *parts)
{
	const struct engine_stats *now = &report->now;
	char text[32];
	add_count(parts, now->succeeded, "ok", INK_NONE);
	add_count(parts, now->dead, "failed", INK_RED);
	add_count(parts, now->waiting, "to retry", INK_YELLOW);
	add(parts, "%s in flight", units_number_text(now->in_flight, text));
	if (weir_histogram_count(now->attempt_ns))
		add(parts, "p50 %s", units_latency_text(weir_histogram_quantile(now->attempt_ns, 0.5), text));
	add_count(parts, report->flow.throttled, "rate-limited", INK_YELLOW);
	add_count(parts, now->in_line, "queued", INK_NONE);
}

static void make_counts(const struct report *report, const struct terminal *terminal, struct block *block)
{
	struct parts parts = {0};
	size_t width = INDENT;
	add_counts(report, &parts);
	buf_addf(&block->text, "%*s", INDENT, "");
	for (size_t i = 0; i < parts.n; i++) {
		size_t n = (i ? GAP + 1 : 0) + strlen(parts.all[i].text);
		if (width + n >= terminal->columns)
			break;
		buf_addf(&block->text, "%*s", i ? GAP + 1 : 0, "");
		terminal_add_ink(&block->text, terminal, parts.all[i].ink, parts.all[i].text);
		width += n;
	}
	end_line(block, width);
}

/* ---- the third */

static void make_line(const struct terminal *terminal, const char *before, const char *text, size_t n,
		      enum terminal_ink ink, struct block *block)
{
	size_t width = INDENT + strlen(before);
	struct buf line = {0};
	buf_addf(&block->text, "%*s", INDENT, "");
	buf_add_str(&line, before);
	width += terminal_add_cut(&line, terminal, text, n, terminal->columns - 1 - width);
	terminal_add_ink(&block->text, terminal, ink, line.data ? line.data : "");
	buf_fini(&line);
	end_line(block, width);
}

static void make_sentence(const struct report *report, const struct terminal *terminal, struct block *block)
{
	struct buf sentence = {0};
	bool is_trouble = bottleneck_say(report, &sentence);
	const char *text = sentence.data ? sentence.data : "", *mark = is_trouble ? "! " : "";
	enum terminal_ink ink = is_trouble ? INK_YELLOW : INK_NONE;
	if (!*text)
		make_line(terminal, "", "", 0, INK_NONE, block);
	while (*text && block->lines < BLOCK_LINES) {
		bool is_last = block->lines + 1 == BLOCK_LINES;
		size_t n = is_last ? strlen(text) : terminal_fold(text, terminal->columns - 1 - INDENT - strlen(mark));
		make_line(terminal, mark, text, n, ink, block);
		text += n + (text[n] == ' ');
		mark = is_trouble ? "  " : "";
	}
	buf_fini(&sentence);
}

void block_make(const struct report *report, const struct terminal *terminal, struct block *ret_block)
{
	*ret_block = (struct block){0};
	make_heading(report, terminal, ret_block);
	if (terminal->columns < NARROW)
		return;
	make_counts(report, terminal, ret_block);
	make_sentence(report, terminal, ret_block);
}

/* ---- the same as text */

static void add_all(const struct parts *parts, struct buf *out)
{
	for (size_t i = 0; i < parts->n; i++)
		if (parts->all[i].text[0])
			buf_addf(out, "%s%s", i ? ", " : "", parts->all[i].text);
}

void block_add_pace(const struct report *report, struct buf *out)
{
	struct parts parts = {0};
	add_amount(report, &parts);
	add_speed(report, &parts);
	add_all(&parts, out);
}

void block_add_counts(const struct report *report, struct buf *out)
{
	struct parts parts = {0};
	add_counts(report, &parts);
	add_all(&parts, out);
}

void block_add_line(const struct report *report, struct buf *out)
{
	struct buf sentence = {0};
	buf_addf(out, "%s: ", report->name);
	block_add_pace(report, out);
	buf_add_str(out, ", ");
	block_add_counts(report, out);
	bottleneck_say(report, &sentence);
	if (sentence.len)
		buf_addf(out, "; %s", sentence.data);
	buf_fini(&sentence);
}
