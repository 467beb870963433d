/* SPDX-License-Identifier: MIT */
/*
 * Figures of one table lie several powers of ten apart, so the two charts of marks have logarithmic axes; marks, not
 * bars, since a bar on such an axis has no length that means anything.
 *
 *     axis      what lies where: a range in powers of ten on the width of the plot
 *     one row   of marks for each row of the report
 */
#include "bench/chart.h"

#include <math.h>
#include <stdio.h>

#include "bench/text.h"
#include "data/buf.h"

enum { WIDTH = 760, LEFT = 150, RIGHT = 24, TOP = 26, ROW = 34, SMALL_WIDTH = 372, SMALL_HEIGHT = 132, POINTS = 240 };

void bench_add_escaped(struct buf *out, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '&':
			buf_add_str(out, "&amp;");
			break;
		case '<':
			buf_add_str(out, "&lt;");
			break;
		case '>':
			buf_add_str(out, "&gt;");
			break;
		case '"':
			buf_add_str(out, "&quot;");
			break;
		case '\'':
			buf_add_str(out, "&#39;");
			break;
		default:
			buf_add_char(out, *text);
		}
}

/* ---- a logarithmic axis */

struct axis {
	double low, high;
};

static const double nice[] = {1, 2, 5, 10};

/* The nearest 1, 2 or 5 times a power of ten at or below (above) the value. */
static double round_to_nice(double value, bool up)
{
	double power = pow(10, floor(log10(value) + 1e-9)), best = up ? 10 * power : power;
	for (int i = 0; i < 4; i++) {
		if (!up && nice[i] * power <= value * (1 + 1e-9))
			best = nice[i] * power;
		if (up && nice[3 - i] * power >= value * (1 - 1e-9))
			best = nice[3 - i] * power;
	}
	return best;
}

static void widen(struct axis *axis, double value)
{
	if (!isfinite(value) || value <= 0)
		return;
	axis->low = fmin(axis->low, round_to_nice(value * 0.999, false));
	axis->high = fmax(axis->high, round_to_nice(value * 1.001, true));
}

static double place_of(const struct axis *axis, double value)
{
	double share = log(value / axis->low) / log(axis->high / axis->low);
	return LEFT + fmin(fmax(share, 0), 1) * (WIDTH - LEFT - RIGHT);
}

static void add_text(struct buf *out, double x, double y, const char *class, const char *anchor, const char *text)
{
	buf_addf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">", x, y, class, anchor);
	bench_add_escaped(out, text);
	buf_add_str(out, "</text>\n");
}

static int chart_height(size_t rows)
{
	return TOP + ROW * (int)rows + 8;
}

static size_t rows_run(const struct bench_report *report)
{
	size_t n = 0;
	for (size_t i = 0; i < report->count; i++)
		n += report->rows[i].run;
	return n;
}

static void add_tick(const struct axis *axis, double value, int height,
		     const char *(*write)(double value, char text[static 32]), struct buf *out)
{
	char text[32];
	double x = place_of(axis, value);
	if (value < axis->low * 0.999 || value > axis->high * 1.001)
		return;
	buf_addf(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" class=\"grid\"/>\n", x, x, TOP, height - 4);
	add_text(out, x, TOP - 8, "tick", "middle", write(value, text));
}

static void begin(const struct bench_report *report, const struct axis *axis, const char *label,
		  const char *(*write)(double value, char text[static 32]), struct buf *out)
{
	int height = chart_height(rows_run(report));
	buf_addf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n", WIDTH, height, label);
	bool wide = axis->high / axis->low > 1000;
	int first = (int)floor(log10(axis->low)), last = (int)floor(log10(axis->high));
	for (int power = first; power <= last; power++)
		for (int i = 0; i < (wide ? 1 : 3); i++)
			add_tick(axis, nice[i] * pow(10, power), height, write, out);
}

static void add_name(const struct bench_row *row, double y, struct buf *out)
{
	char name[64];
	add_text(out, LEFT - 12, y + 4, "name", "end", bench_row_name(row, name));
}

/* ---- speed */

static const char *write_count(double value, char text[static 32])
{
	return bench_text_count(value, text);
}

static void add_dot(struct buf *out, double x, double y, const char *class, const char *title)
{
	buf_addf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"6\" class=\"%s\"><title>", x, y, class);
	bench_add_escaped(out, title);
	buf_add_str(out, "</title></circle>\n");
}

static void add_bar(struct buf *out, double x, double y, const char *title)
{
	buf_addf(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" class=\"bound\"><title>", x, x, y - 12,
		 y + 12);
	bench_add_escaped(out, title);
	buf_add_str(out, "</title></line>\n");
}

static void add_diamond(struct buf *out, double x, double y, bool possible, const char *title)
{
	buf_addf(out, "<path d=\"M%.1f %.1fl7 7l-7 7l-7 -7z\" class=\"%s\"><title>", x, y - 7,
		 possible ? "said" : "said wrong");
	bench_add_escaped(out, title);
	buf_add_str(out, "</title></path>\n");
}

static double published_of(const struct bench_report *report, const struct bench_row *row)
{
	double per_sec = bench_published_per_sec(report->scenario, row->variant);
	return !row->peer && !report->own_urls && per_sec > 0 ? per_sec : (double)NAN;
}

static void add_speed_row(const struct bench_report *report, const struct bench_row *row, const struct axis *axis,
			  double y, struct buf *out)
{
	struct bench_judgement judgement;
	char title[128], text[32];
	double speed = bench_row_per_sec(row), said = published_of(report, row);
	double bound = bench_row_at_most(report, row);
	bench_judge_variant(report->scenario, row->variant, &judgement);
	add_name(row, y, out);
	if (isfinite(said)) {
		snprintf(title, sizeof title, "published: %s/s, %s", bench_text_count(said, text),
			 bench_verdict_name(judgement.verdict));
		add_diamond(out, place_of(axis, said), y, judgement.verdict == BENCH_CONSISTENT, title);
	}
	if (isfinite(bound)) {
		snprintf(title, sizeof title, "bound: %s/s", bench_text_count(bound, text));
		add_bar(out, place_of(axis, bound), y, title);
	}
	if (speed > 0) {
		snprintf(title, sizeof title, "measured: %s/s", bench_text_count(speed, text));
		add_dot(out, place_of(axis, speed), y, "measured", title);
	}
}

void bench_chart_speed(const struct bench_report *report, struct buf *out)
{
	struct axis axis = {.low = (double)INFINITY};
	for (size_t i = 0; i < report->count; i++) {
		widen(&axis, bench_row_at_most(report, &report->rows[i]));
		widen(&axis, bench_row_per_sec(&report->rows[i]));
		widen(&axis, published_of(report, &report->rows[i]));
	}
	if (axis.low >= axis.high)
		axis = (struct axis){0.001, 1};
	begin(report, &axis, "Jobs a second: measured, bound and published", write_count, out);
	double y = TOP + ROW / 2.0;
	for (size_t i = 0; i < report->count; i++)
		if (report->rows[i].run) {
			add_speed_row(report, &report->rows[i], &axis, y, out);
			y += ROW;
		}
	buf_add_str(out, "</svg>\n");
}

/* ---- times */

static const char *write_seconds(double value, char text[static 32])
{
	return bench_text_time((weir_nsec)(value * 1e9 + 0.5), text);
}

static void add_percentiles(const struct bench_times *times, const struct axis *axis, double y, const char *class,
			    const char *what, struct buf *out)
{
	const weir_nsec values[] = {times->p50, times->p95, times->p99};
	static const char *const names[] = {"p50", "p95", "p99"};
	char title[96], text[32];
	if (times->p50 <= 0)
		return;
	buf_addf(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" class=\"span %s\"/>\n",
		 place_of(axis, (double)times->p50 / 1e9), place_of(axis, (double)times->p99 / 1e9), y, y, class);
	for (int i = 0; i < 3; i++) {
		snprintf(title, sizeof title, "%s %s: %s", what, names[i], bench_text_time(values[i], text));
		buf_addf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%d\" class=\"%s\"><title>%s</title></circle>\n",
			 place_of(axis, (double)values[i] / 1e9), y, 3 + i, class, title);
	}
}

void bench_chart_times(const struct bench_report *report, struct buf *out)
{
	struct axis axis = {.low = (double)INFINITY};
	for (size_t i = 0; i < report->count; i++) {
		const struct bench_result *result = &report->rows[i].result;
		widen(&axis, (double)result->service.p50 / 1e9);
		widen(&axis, (double)result->service.p99 / 1e9);
		widen(&axis, (double)result->response.p50 / 1e9);
		widen(&axis, (double)result->response.p99 / 1e9);
	}
	if (axis.low >= axis.high)
		axis = (struct axis){0.001, 1};
	begin(report, &axis, "Service and response times: p50, p95, p99", write_seconds, out);
	double y = TOP + ROW / 2.0;
	for (size_t i = 0; i < report->count; i++) {
		if (!report->rows[i].run)
			continue;
		add_name(&report->rows[i], y, out);
		add_percentiles(&report->rows[i].result.service, &axis, y - 6, "service", "service", out);
		add_percentiles(&report->rows[i].result.response, &axis, y + 7, "response", "response", out);
		y += ROW;
	}
	buf_add_str(out, "</svg>\n");
}

/* ---- memory */

static double most_in(const struct bench_series *series, size_t from, size_t to)
{
	double most = 0;
	for (size_t i = from; i < to; i++)
		most = fmax(most, series->value[i]);
	return most;
}

/* A step in which nobody looked has no value of its own: it is as it was. */
static void add_area(const struct bench_series *series, double top, struct buf *out)
{
	const double left = 8, width = SMALL_WIDTH - 16, bottom = SMALL_HEIGHT - 22, height = bottom - 30;
	size_t points = series->used < POINTS ? series->used : POINTS;
	double last = 0;
	buf_addf(out, "<path class=\"area\" d=\"M%.1f %.1f", left, bottom);
	for (size_t i = 0; i < points; i++) {
		double value = most_in(series, i * series->used / points, (i + 1) * series->used / points);
		last = value > 0 ? value : last;
		buf_addf(out, "L%.1f %.1f", left + width * (double)(i + 1) / (double)points,
			 bottom - (top > 0 ? height * fmin(last / top, 1) : 0));
	}
	buf_addf(out, "V%.1fz\"/>\n", bottom);
}

static void add_small_chart(const struct bench_row *row, struct buf *out)
{
	const struct bench_result *result = &row->result;
	const double bottom = SMALL_HEIGHT - 22;
	char name[64], text[32], line[64];
	double top = fmax(result->peak_bytes, most_in(&result->memory, 0, result->memory.used));
	buf_addf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Memory over time\">\n", SMALL_WIDTH,
		 SMALL_HEIGHT);
	add_text(out, 8, 16, "name", "start", bench_row_name(row, name));
	snprintf(line, sizeof line, "peak %s", bench_text_bytes(top, text));
	add_text(out, SMALL_WIDTH - 8, 16, "tick", "end", line);
	add_area(&result->memory, top, out);
	buf_addf(out, "<line x1=\"8\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" class=\"ground\"/>\n", SMALL_WIDTH - 8, bottom,
		 bottom);
	add_text(out, 8, bottom + 15, "tick", "start", "0");
	add_text(out, SMALL_WIDTH - 8, bottom + 15, "tick", "end", bench_text_time(result->took, text));
	buf_add_str(out, "</svg>\n");
}

void bench_chart_memory(const struct bench_report *report, struct buf *out)
{
	buf_add_str(out, "<div class=\"small\">\n");
	for (size_t i = 0; i < report->count; i++)
		if (report->rows[i].run && report->rows[i].result.memory.used)
			add_small_chart(&report->rows[i], out);
	buf_add_str(out, "</div>\n");
}
