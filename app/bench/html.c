/* SPDX-License-Identifier: MIT */
/*
 * One page that needs nothing but itself: no script, no font, no picture from elsewhere.  Whatever is not written
 * here (names, notes, the machine) is escaped.
 */
#include <stdio.h>

#include "bench/cells.h"
#include "bench/chart.h"
#include "bench/text.h"
#include "data/buf.h"

static const char head[] =
	"<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>weir bench</title>\n<style>\n"
	":root{color-scheme:light dark;--back:#fff;--text:#1a1c20;--soft:#5b6270;--line:#dfe2e8;--blue:#1b63c6;"
	"--shade:#0003;--orange:#b5560a;--red:#c02a2a;--green:#1e7a46}\n"
	"@media(prefers-color-scheme:dark){:root{--back:#15171b;--text:#e6e8ec;--soft:#9aa2b1;--line:#343942;"
	"--blue:#6ba6ff;--shade:#fff3;--orange:#f0a35c;--red:#ff7b72;--green:#5ecb8b}}\n"
	"body{background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem "
	"auto;padding:0 1rem}\n"
	"h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .5rem}p{margin:.4rem 0}\n"
	".soft{color:var(--soft);font-size:.9rem}\n"
	/* What is wider than the screen has a shadow at the side where it goes on. */
	".wide{overflow-x:auto;margin:0 0 1.4rem;background:linear-gradient(90deg,var(--back) 1rem,transparent) left,"
	"linear-gradient(270deg,var(--back) 1rem,transparent) right,linear-gradient(90deg,var(--shade),transparent) "
	"left,linear-gradient(270deg,var(--shade),transparent) right;background-size:2.5rem 100%,2.5rem 100%,1rem "
	"100%,1rem 100%;background-repeat:no-repeat;background-attachment:local,local,scroll,scroll}\n"
	"table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums;"
	"width:100%}\n"
	"th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}\n"
	"th{color:var(--soft);font-weight:600}th:first-child,td:first-child{text-align:left}\n"
	"tr+tr th:first-child{text-align:right}th.over{text-align:center}"
	"th[colspan]{border-bottom:0;padding-bottom:0}\n"
	"td.why,th.why{text-align:left;white-space:normal;min-width:16rem}\n"
	".no{color:var(--red)}.yes{color:var(--green)}\n"
	"svg{display:block;width:100%;height:auto;font-family:inherit}.chart svg{min-width:36rem}\n"
	".small{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));gap:.5rem 1rem}\n"
	".grid{stroke:var(--line)}.ground{stroke:var(--soft)}.tick{fill:var(--soft);font-size:12px}\n"
	".name{fill:var(--text);font-size:13px}.measured,.service{fill:var(--blue);stroke:var(--blue)}\n"
	".response{fill:var(--orange);stroke:var(--orange)}.span{stroke-width:2}\n"
	".bound{stroke:var(--text);stroke-width:3}.said{fill:none;stroke:var(--green);stroke-width:2}\n"
	".said.wrong{stroke:var(--red)}.area{fill:var(--blue);fill-opacity:.25;stroke:var(--blue);stroke-width:1.5}\n"
	".key svg{display:inline-block;width:22px;height:22px;vertical-align:-6px}.key "
	"span{white-space:nowrap;margin-right:.8rem}\n"
	"</style>\n</head>\n<body>\n";

/* How many columns stand below the head of this one: itself and those after it that have none of their own. */
static int span_of(const struct bench_column *column)
{
	int n = 1;
	while (column[n].name && !column[n].over[0])
		n++;
	return n;
}

static void write_heads(const struct bench_column *columns, struct buf *out)
{
	bool two = false;
	for (const struct bench_column *c = columns; c->name; c++)
		two |= c->over[0] != 0;
	buf_addf(out, "<tr><th%s>pattern</th>", two ? " rowspan=\"2\"" : "");
	for (const struct bench_column *c = columns; two && c->name; c += span_of(c))
		buf_addf(out, "<th colspan=\"%d\"%s>%s</th>", span_of(c), c->over[0] > ' ' ? " class=\"over\"" : "",
			 c->over);
	buf_add_str(out, two ? "</tr>\n<tr>" : "");
	for (const struct bench_column *c = columns; c->name; c++)
		buf_addf(out, "<th>%s</th>", c->name);
	buf_add_str(out, "</tr>\n");
}

static void write_table(const struct bench_report *report, const struct bench_column *columns, bool measured,
			struct buf *out)
{
	buf_add_str(out, "<div class=\"wide\"><table>\n");
	write_heads(columns, out);
	for (size_t i = 0; i < report->count; i++) {
		const struct bench_place place = {report, &report->rows[i]};
		char text[32], name[64];
		if (measured ? !place.row->run : !bench_is_published(&place))
			continue;
		buf_add_str(out, "<tr><td>");
		bench_add_escaped(out, bench_row_name(place.row, name));
		buf_add_str(out, "</td>");
		for (const struct bench_column *c = columns; c->name; c++) {
			buf_add_str(out, "<td>");
			bench_add_escaped(out, c->write(&place, text));
			buf_add_str(out, "</td>");
		}
		buf_add_str(out, "</tr>\n");
	}
	buf_add_str(out, "</table></div>\n");
}

static void write_verdicts(const struct bench_report *report, struct buf *out)
{
	buf_add_str(out, "<div class=\"wide\"><table>\n<tr><th>pattern</th><th class=\"why\">verdict</th>"
			 "<th class=\"why\">because</th></tr>\n");
	for (size_t i = 0; i < report->count; i++) {
		const struct bench_place place = {report, &report->rows[i]};
		struct bench_judgement judgement;
		if (!bench_is_published(&place))
			continue;
		bench_judge_variant(report->scenario, place.row->variant, &judgement);
		bool good = judgement.verdict == BENCH_CONSISTENT;
		buf_addf(out, "<tr><td>%s</td><td class=\"why %s\">%s</td><td class=\"why\">", place.row->variant->name,
			 good ? "yes" : "no", bench_verdict_name(judgement.verdict));
		bench_add_escaped(out, judgement.because);
		buf_add_str(out, "</td></tr>\n");
	}
	buf_add_str(out, "</table></div>\n");
}

static void write_published(const struct bench_report *report, struct buf *out)
{
	bool heap = report->scenario->form == BENCH_FORM_HEAP;
	if (!bench_any_published(report))
		return;
	buf_add_str(out, "<h2>What was published, and what arithmetic allows</h2>\n<p class=\"soft\">");
	bench_add_escaped(out, report->scenario->title);
	buf_add_str(out, heap ? ". Memory there is Python's heap alone.</p>\n" : ".</p>\n");
	write_table(report, bench_tables_of(report->scenario).published, false, out);
	write_verdicts(report, out);
}

static void add_key(struct buf *out, const char *mark, const char *text)
{
	buf_addf(out, "<span><svg viewBox=\"0 0 22 22\"><%s/></svg>%s</span> ", mark, text);
}

static const char diamond[] = "path d=\"M11 4l7 7l-7 7l-7 -7z\" class=\"said\"";
static const char wrong_diamond[] = "path d=\"M11 4l7 7l-7 7l-7 -7z\" class=\"said wrong\"";

static void write_times_chart(const struct bench_report *report, struct buf *out)
{
	buf_add_str(out, "<h2>Latency: p50, p95, p99</h2>\n<p class=\"soft key\">");
	add_key(out, "circle cx=\"11\" cy=\"11\" r=\"5\" class=\"service\"", "service, of an attempt");
	add_key(out, "circle cx=\"11\" cy=\"11\" r=\"5\" class=\"response\"", "response, from when the job was due");
	buf_add_str(out, "</p>\n<div class=\"wide chart\">\n");
	bench_chart_times(report, out);
	buf_add_str(out, "</div>\n");
}

static void write_charts(const struct bench_report *report, struct buf *out)
{
	buf_add_str(out, "<h2>Jobs a second</h2>\n<p class=\"soft key\">");
	add_key(out, "circle cx=\"11\" cy=\"11\" r=\"6\" class=\"measured\"", "measured");
	add_key(out, "line x1=\"11\" x2=\"11\" y1=\"2\" y2=\"20\" class=\"bound\"", "bound");
	if (bench_any_published(report)) {
		add_key(out, diamond, "published, consistent");
		add_key(out, wrong_diamond, "published, impossible");
	}
	buf_add_str(out, "</p>\n<div class=\"wide chart\">\n");
	bench_chart_speed(report, out);
	buf_add_str(out, "</div>\n");
	if (bench_tables_of(report->scenario).times)
		write_times_chart(report, out);
	bool whole = report->scenario->form == BENCH_FORM_ORDERS;
	buf_addf(out, "<h2>Memory%s, over the run</h2>\n", whole ? "" : " above idle");
	bench_chart_memory(report, out);
}

static void write_errors(const struct bench_report *report, struct buf *out)
{
	buf_add_str(out, "<h2>Failed attempts, by cause</h2>\n<div class=\"wide\"><table>\n<tr><th>pattern</th>");
	for (int cause = 0; cause < BENCH_CAUSE_COUNT; cause++)
		buf_addf(out, "<th>%s</th>", bench_cause_name(cause));
	buf_add_str(out, "</tr>\n");
	for (size_t i = 0; i < report->count; i++) {
		const struct bench_row *row = &report->rows[i];
		char name[64], text[32];
		if (!row->run)
			continue;
		buf_add_str(out, "<tr><td>");
		bench_add_escaped(out, bench_row_name(row, name));
		buf_add_str(out, "</td>");
		for (int cause = 0; cause < BENCH_CAUSE_COUNT; cause++)
			buf_addf(out, "<td>%s</td>", bench_text_count((double)row->result.errors[cause], text));
		buf_add_str(out, "</tr>\n");
	}
	buf_add_str(out, "</table></div>\n");
}

static void write_notes(const struct bench_report *report, struct buf *out)
{
	for (size_t i = 0; i < report->count; i++) {
		char name[64];
		if (!report->rows[i].result.note[0])
			continue;
		buf_add_str(out, "<p>");
		bench_add_escaped(out, bench_row_name(&report->rows[i], name));
		buf_add_str(out, ": ");
		bench_add_escaped(out, report->rows[i].result.note);
		buf_add_str(out, "</p>\n");
	}
}

static void write_title(const struct bench_report *report, struct buf *out)
{
	char jobs[32], range[64];
	buf_addf(out, "<h1>weir bench: %s</h1>\n<p>", report->scenario->name);
	bench_add_escaped(out, report->mode);
	if (!report->own_urls)
		buf_addf(out, ": %s jobs of %s, seed %llu", bench_text_count((double)report->load.jobs, jobs),
			 bench_text_range(report->load.low, report->load.high, range),
			 (unsigned long long)report->seed);
	buf_add_str(out, "</p>\n<p class=\"soft\">");
	bench_add_escaped(out, report->machine);
	buf_addf(out, ", %s</p>\n", report->when);
}

static void write_legend(const struct bench_report *report, struct buf *out)
{
	buf_add_str(out, "<p class=\"soft\">");
	if (report->scenario->form == BENCH_FORM_ORDERS)
		for (const char *const *line = bench_orders_legend; *line; line++) {
			bench_add_escaped(out, *line);
			buf_add_str(out, " ");
		}
	else
		buf_add_str(out,
			    "Bound: Little&#39;s law, with its tail where the times are known; "
			    "a short run may deviate by some per cent. Response counts from when a job was due: "
			    "evenly at the bound&#39;s rate; with naive at the start, with auto and own URLs when it "
			    "was read. Memory is resident memory, stacks included, above that before the run.");
	buf_add_str(out, "</p>\n");
}

void bench_write_html(const struct bench_report *report, struct buf *out)
{
	const struct bench_tables tables = bench_tables_of(report->scenario);
	buf_add_str(out, head);
	write_title(report, out);
	write_published(report, out);
	write_charts(report, out);
	buf_add_str(out, "<h2>Measured</h2>\n");
	write_table(report, tables.speed, true, out);
	if (tables.times)
		write_table(report, tables.times, true, out);
	write_table(report, tables.cost, true, out);
	write_errors(report, out);
	write_notes(report, out);
	write_legend(report, out);
	buf_add_str(out, "</body>\n</html>\n");
}
