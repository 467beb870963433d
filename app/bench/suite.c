/* SPDX-License-Identifier: MIT */
/*
 * Each row is a run of its own process, then, where there is an upstream that may be taken away, a second one for its
 * recovery.  Peers come last, each with the rows it can do.
 */
#include "bench/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bench/database.h"
#include "bench/peers.h"
#include "bench/text.h"

/* ---- where it is run */

static void read_processor(char *text, size_t room)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];
	snprintf(text, room, "processor");
	while (file && fgets(line, sizeof line, file))
		if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
			line[strcspn(line, "\n")] = 0;
			snprintf(text, room, "%.*s", (int)room - 1, strchr(line, ':') + 2);
			break;
		}
	if (file)
		fclose(file);
}

static void describe_place(struct bench_report *report)
{
	struct utsname name = {0};
	char processor[80];
	time_t now = time(NULL);
	struct tm utc;
	uname(&name);
	read_processor(processor, sizeof processor);
	gmtime_r(&now, &utc);
	strftime(report->when, sizeof report->when, "%Y-%m-%dT%H:%M:%SZ", &utc);
	snprintf(report->machine, sizeof report->machine, "%ld x %s, Linux %.40s, weir " WEIR_VERSION,
		 sysconf(_SC_NPROCESSORS_ONLN), processor, name.release);
}

/* ---- rows */

static bool is_wanted(const struct bench_suite *suite, const struct bench_variant *variant)
{
	for (size_t i = 0; i < suite->only_count; i++)
		if (bench_find_variant(suite->scenario, suite->only[i]) == variant)
			return true;
	/* Everything at once is nothing to do to a server that was not asked for it. */
	return !suite->only_count && !(suite->urls && variant->shape.law == BENCH_LAW_ONCE);
}

static struct bench_plan make_plan(const struct bench_suite *suite, const struct bench_database *database,
				   unsigned place)
{
	return (struct bench_plan){
		.scenario = suite->scenario,
		.load = suite->load,
		.model = suite->model,
		.weir = suite->weir,
		.urls = suite->urls,
		.url_count = suite->url_count,
		.duration = suite->duration,
		.allow_private = suite->allow_private,
		.database = database,
		.seed = suite->seed,
		.place = place,
	};
}

static void tell_row(const struct bench_suite *suite, const struct bench_variant *variant, const char *what)
{
	struct bench_bound bound;
	char line[160], took[32];
	bench_bound(&variant->shape, &suite->load, &bound);
	if (suite->model || suite->urls || what[0] || bound.seconds <= 0 || variant->kind == BENCH_COPY)
		snprintf(line, sizeof line, "%s%s", variant->name, what);
	else
		snprintf(line, sizeof line, "%s, no less than %s", variant->name,
			 bench_text_time((weir_nsec)(bound.seconds * 1e9), took));
	suite->tell(line);
}

/* What is all made at once is counted: enough for the time before the fault, the fault and some time after it. */
static uint64_t recovery_jobs(const struct bench_suite *suite, const struct bench_variant *variant)
{
	const struct bench_load *load = &suite->load;
	struct bench_bound bound;
	if (variant->shape.law == BENCH_LAW_ONCE)
		return load->jobs < suite->scenario->load.jobs ? load->jobs : suite->scenario->load.jobs;
	bench_bound(&variant->shape, load, &bound);
	return (uint64_t)(fmin(bound.steady, 1e5) * (9 * (double)load->high / 1e9 + 12)) + 1;
}

static void run_row(const struct bench_suite *suite, const struct bench_database *database, unsigned number,
		    struct bench_row *row)
{
	struct bench_plan plan = make_plan(suite, database, 2 * number + 1);
	tell_row(suite, row->variant, "");
	bench_run(&plan, row->variant, &row->result);
	row->run = row->result.code >= 0;
	if (!row->run || suite->no_recovery || suite->urls || row->variant->kind != BENCH_PROCESS)
		return;
	static struct bench_result result; /* large */
	plan.recovery = true;
	plan.place++;
	plan.load.jobs = recovery_jobs(suite, row->variant);
	tell_row(suite, row->variant, ", its upstream fails");
	bench_run(&plan, row->variant, &result);
	row->recovery = result.recovery;
	if (result.code < 0 && !row->result.note[0])
		snprintf(row->result.note, sizeof row->result.note, "recovery: %.180s", result.note);
}

static const char *name_mode(const struct bench_suite *suite)
{
	if (suite->model)
		return "virtual clock";
	if (suite->urls)
		return "own URLs";
	if (suite->scenario->form == BENCH_FORM_ORDERS)
		return suite->url ? "weir mock, the server of --url" : "weir mock, its own PostgreSQL";
	return suite->scenario->variants[0].kind == BENCH_PROCESS ? "real sockets, weir mock"
								  : "sleeps on the real clock";
}

static void run_rows(const struct bench_suite *suite, const struct bench_database *database,
		     struct bench_report *report)
{
	for (size_t i = 0; i < suite->scenario->count; i++)
		if (is_wanted(suite, &suite->scenario->variants[i])) {
			struct bench_row *row = &report->rows[report->count++];
			row->variant = &suite->scenario->variants[i];
			run_row(suite, database, (unsigned)report->count, row);
		}
	if (suite->peers)
		bench_peers_run(suite, database, report);
}

static int run_with_database(const struct bench_suite *suite, struct bench_report *report, struct weir_error *err)
{
	struct bench_database database;
	char line[128];
	suite->tell(suite->url ? "creating the table" : "starting PostgreSQL");
	int code = bench_database_open(suite->url, &database, err);
	if (code < 0)
		return code;
	snprintf(line, sizeof line, "files are in %s until the end", database.folder);
	suite->tell(line);
	run_rows(suite, &database, report);
	bench_database_close(&database);
	return 0;
}

int bench_suite_run(const struct bench_suite *suite, struct bench_report *ret_report, struct weir_error *err)
{
	struct bench_report report = {
		.scenario = suite->scenario,
		.load = suite->load,
		.own_urls = suite->urls != NULL,
		.model = suite->model,
		.mode = name_mode(suite),
		.seed = suite->seed,
		.rows = calloc(BENCH_ROWS_MOST, sizeof *report.rows),
	};
	int code = 0;
	if (!report.rows)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	describe_place(&report);
	if (suite->scenario->form == BENCH_FORM_ORDERS)
		code = run_with_database(suite, &report, err);
	else
		run_rows(suite, NULL, &report);
	if (code < 0)
		bench_suite_free(&report);
	else
		*ret_report = report;
	return code;
}

void bench_suite_free(struct bench_report *report)
{
	free(report->rows);
	report->rows = NULL;
	report->count = 0;
}
