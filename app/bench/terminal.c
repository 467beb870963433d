/* SPDX-License-Identifier: MIT */
/* Tables for a terminal of 80 columns: the first column on the left, the others on the right. */
#include <stdio.h>
#include <string.h>

#include "bench/cells.h"
#include "bench/text.h"
#include "data/buf.h"

enum { WIDTH = 80, INDENT = 4 };

#define CALIBRATION_MOST 1.002

static bool stands_in(const struct bench_place *place, bool measured)
{
	return measured ? place->row->run : bench_is_published(place);
}

static int name_width(const struct bench_report *report, bool measured)
{
	size_t most = strlen("pattern");
	for (size_t i = 0; i < report->count; i++) {
		const struct bench_place place = {report, &report->rows[i]};
		char name[64];
		size_t n = strlen(bench_row_name(place.row, name));
		if (stands_in(&place, measured) && n > most)
			most = n;
	}
	return (int)most;
}

static void trim(struct buf *out)
{
	while (out->len && out->data[out->len - 1] == ' ')
		out->data[--out->len] = 0;
	buf_add_char(out, '\n');
}

static bool has_text_over(const struct bench_column *columns)
{
	for (; columns->name; columns++)
		if (columns->over[0])
			return true;
	return false;
}

static void write_heads(const struct bench_column *columns, int first, struct buf *out)
{
	if (has_text_over(columns)) {
		buf_addf(out, "%*s", first, "");
		for (const struct bench_column *c = columns; c->name; c++)
			buf_addf(out, "%*s", c->width, c->over);
		trim(out);
	}
	buf_addf(out, "%-*s", first, "pattern");
	for (const struct bench_column *c = columns; c->name; c++)
		buf_addf(out, "%*s", c->width, c->name);
	trim(out);
}

static void write_table(const struct bench_report *report, const struct bench_column *columns, bool measured,
			struct buf *out)
{
	int first = name_width(report, measured);
	write_heads(columns, first, out);
	for (size_t i = 0; i < report->count; i++) {
		const struct bench_place place = {report, &report->rows[i]};
		char name[64], text[32];
		if (!stands_in(&place, measured))
			continue;
		buf_addf(out, "%-*s", first, bench_row_name(place.row, name));
		for (const struct bench_column *c = columns; c->name; c++) {
			const char *cell = c->write(&place, text);
			buf_addf(out, "%s%*s", strlen(cell) < (size_t)c->width ? "" : " ", c->width, cell);
		}
		trim(out);
	}
}

/* Breaks at blanks; lines after the first are indented. */
static void write_wrapped(const char *text, struct buf *out)
{
	size_t column = 0;
	while (*text) {
		size_t word = strcspn(text, " ");
		if (column && column + 1 + word > WIDTH) {
			buf_addf(out, "\n%*s", INDENT, "");
			column = INDENT;
		} else if (column) {
			buf_add_char(out, ' ');
			column++;
		}
		buf_add(out, text, word);
		column += word;
		text += word;
		text += strspn(text, " ");
	}
	buf_add_char(out, '\n');
}

static void write_verdicts(const struct bench_report *report, struct buf *out)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct bench_row *row = &report->rows[i];
		struct bench_judgement judgement;
		char line[320];
		bench_judge_variant(report->scenario, row->variant, &judgement);
		if (row->peer || judgement.verdict == BENCH_NOT_PUBLISHED)
			continue;
		snprintf(line, sizeof line, "%s: %s (%s)", row->variant->name, bench_verdict_name(judgement.verdict),
			 judgement.because);
		write_wrapped(line, out);
	}
}

static void add_errors(const struct bench_row *row, struct buf *out)
{
	const char *before = "failed attempts: ";
	char text[32];
	for (int cause = 0; row->run && cause < BENCH_CAUSE_COUNT; cause++)
		if (row->result.errors[cause]) {
			buf_addf(out, "%s%s %s", before, bench_cause_name(cause),
				 bench_text_count((double)row->result.errors[cause], text));
			before = ", ";
		}
}

static void add_note(const struct bench_row *row, struct buf *out)
{
	buf_add_str(out, row->result.note);
}

/* A line for all rows of which the same is to be said; where those are all there are, without their names. */
static void write_grouped(const struct bench_report *report, void (*add)(const struct bench_row *row, struct buf *out),
			  struct buf *out)
{
	bool said[BENCH_ROWS_MOST] = {false};
	struct buf line = {0}, mine = {0}, other = {0};
	for (size_t i = 0; i < report->count; i++) {
		char name[64];
		buf_clear(&mine);
		add(&report->rows[i], &mine);
		if (said[i] || !mine.len)
			continue;
		buf_clear(&line);
		size_t rows = 0;
		for (size_t k = i; k < report->count; k++) {
			buf_clear(&other);
			add(&report->rows[k], &other);
			if (said[k] || other.len != mine.len || memcmp(other.data, mine.data, mine.len) != 0)
				continue;
			said[k] = true;
			rows++;
			buf_addf(&line, "%s%s", line.len ? ", " : "", bench_row_name(&report->rows[k], name));
		}
		if (rows > 1 && rows == report->count) {
			buf_clear(&line);
			buf_add_str(&line, "all");
		}
		buf_addf(&line, ": %s", mine.data);
		if (!line.failed)
			write_wrapped(line.data, out);
	}
	buf_fini(&line);
	buf_fini(&mine);
	buf_fini(&other);
}

static void write_legend(const struct bench_report *report, struct buf *out)
{
	if (report->scenario->form == BENCH_FORM_ORDERS) {
		for (const char *const *line = bench_orders_legend; *line; line++)
			write_wrapped(*line, out);
		return;
	}
	write_wrapped(report->own_urls
			      ? "Bound: Little's law on the measured mean: jobs in flight / mean service time."
			      : "Bound: Little's law with its tail, of latencies that are uniform in this range; "
				"a short run may deviate by some per cent.",
		      out);
	write_wrapped(report->own_urls
			      ? "Response counts from when a job was read."
			      : "Response counts from when a job was due: evenly at the bound's rate; with naive at "
				"the start, with auto when it was read.",
		      out);
	write_wrapped("Memory is resident memory, stacks included, above that before the run.", out);
	if (report->model)
		write_wrapped("Times are those of the model; CPU is real processor time.", out);
}

/* The one published table whose figures agree with one another: what this machine makes of it says how far its other
 * rows can be trusted. */
static void write_calibration(const struct bench_report *report, struct buf *out)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct bench_row *row = &report->rows[i];
		struct bench_bound bound;
		char took[32], least[32], line[200];
		if (row->variant->kind != BENCH_AT_END || !row->run)
			continue;
		bench_row_bound(report, row, &bound);
		double ratio = (double)row->result.took / 1e9 / bound.seconds;
		snprintf(line, sizeof line,
			 "Calibration: %s took %s, %.4f of the bound with its tail (%s); %.3f is allowed: %s.",
			 row->variant->name, bench_text_took(row->result.took, took), ratio,
			 bench_text_took((weir_nsec)(bound.seconds * 1e9), least), CALIBRATION_MOST,
			 ratio <= CALIBRATION_MOST ? "met" : "missed");
		write_wrapped(line, out);
	}
}

void bench_write_text(const struct bench_report *report, struct buf *out)
{
	const struct bench_tables tables = bench_tables_of(report->scenario);
	char jobs[32], range[64];
	if (bench_any_published(report)) {
		buf_addf(out, "Published: %s\n\n", report->scenario->title);
		write_table(report, tables.published, false, out);
		buf_add_char(out, '\n');
		write_verdicts(report, out);
		buf_add_char(out, '\n');
	}
	buf_addf(out, "Measured: %s", report->mode);
	if (!report->own_urls)
		buf_addf(out, ", %s jobs, %s each, seed %llu", bench_text_count((double)report->load.jobs, jobs),
			 bench_text_range(report->load.low, report->load.high, range),
			 (unsigned long long)report->seed);
	buf_addf(out, "\n%s\n\n", report->machine);
	write_table(report, tables.speed, true, out);
	buf_add_char(out, '\n');
	if (tables.times) {
		write_table(report, tables.times, true, out);
		buf_add_char(out, '\n');
	}
	write_table(report, tables.cost, true, out);
	buf_add_char(out, '\n');
	write_grouped(report, add_errors, out);
	write_grouped(report, add_note, out);
	write_calibration(report, out);
	write_legend(report, out);
}
