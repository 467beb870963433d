/* SPDX-License-Identifier: MIT */
/*
 * weir-bench: the articles' patterns and tables, on this machine.  `weir bench` starts it; the product itself has none
 * of it.  This file is the options and where the results go; the other files here are what is run.
 *
 * To add an option: a row in `options`.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "bench/suite.h"
#include "bench/text.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/paths.h"
#include "data/buf.h"
#include "data/terminal.h"
#include "data/units.h"
#include "http/origin.h"
#include "mock/latency.h"

enum { URLS_MOST = 1000000, ONLY_MOST = 16 };

struct bench_command {
	struct bench_suite suite;
	const char *what, *urls, *csv, *json, *html;
	bool quick, latency_set, errors_set;
	char *only[ONLY_MOST];
};

static int set_latency(void *opts, const char *value, struct weir_error *err)
{
	struct bench_command *command = opts;
	struct mock_latency latency;
	int code = mock_latency_parse(value, &latency, err);
	if (code)
		return code;
	struct bench_load *load = &command->suite.load;
	bool good = latency.parts == 1 && latency.part[0].high <= 3600 * WEIR_SEC;
	load->low = latency.part[0].low / WEIR_USEC * WEIR_USEC; /* as the mock is told */
	load->high = latency.part[0].high / WEIR_USEC * WEIR_USEC;
	mock_latency_fini(&latency);
	command->latency_set = true;
	return good ? 0 : weir_error_set(err, WEIR_EINVAL, "expected a range such as 10ms..3s, an hour at most");
}

static int set_errors(void *opts, const char *value, struct weir_error *err)
{
	struct bench_command *command = opts;
	command->errors_set = true;
	if (units_share(value, strlen(value), &command->suite.load.errors))
		return 0;
	return weir_error_set(err, WEIR_EINVAL, "'%.100s' is not a percentage; expected a value such as 5%%", value);
}

static int set_only(void *opts, const char *value, struct weir_error *err)
{
	struct bench_command *command = opts;
	if (command->suite.only_count == ONLY_MOST)
		return weir_error_set(err, WEIR_EINVAL, "at most %d times", ONLY_MOST);
	command->only[command->suite.only_count++] = (char *)(uintptr_t)value;
	return 0;
}

static int set_duration(void *opts, const char *value, struct weir_error *err)
{
	struct bench_command *command = opts;
	if (units_duration(value, strlen(value), &command->suite.duration) && command->suite.duration > 0)
		return 0;
	return weir_error_set(err, WEIR_EINVAL, "'%.100s' is not a duration; expected a value such as 30s", value);
}

#define AT(field) offsetof(struct bench_command, field)

static const struct cmd_option options[] = {
	{"quick", NULL, "patterns: 1,000 jobs of 10 to 300 ms; orders: 400 of 20 ms", AT(quick)},
	{"virtual", NULL, "simulate on the virtual clock: 1,000,000 jobs in a minute", AT(suite.model)},
	{"urls", "FILE", "GET your own URLs, one a line, instead of a mock", AT(urls)},
	{"duration", "TIME", "with --urls: repeat the list for this long (default: each URL once)",
	 .set = set_duration},
	{"url", "URL", "of orders: use this PostgreSQL (default: start a server)", AT(suite.url)},
	{"allow-private", NULL, "with --urls: allow loopback and private addresses", AT(suite.allow_private)},
	{"only", "PATTERN", "run only this row; may be repeated", .set = set_only},
	{"jobs", "N", "number of jobs", AT(suite.load.jobs), .least = 1, .most = 100000000},
	{"latency", "LOW..HIGH", "latency of the upstream, uniform in this range", .set = set_latency},
	{"errors", "PERCENT", "share of requests answered with 500", .set = set_errors},
	{"seed", "N", "random seed of the model and the mock (default 1)", AT(suite.seed), .most = INT64_MAX},
	{"no-recovery", NULL, "leave out the second run, whose upstream goes away", AT(suite.no_recovery)},
	{"peers", NULL, "also run the same in Python (and patterns in Go), where installed", AT(suite.peers)},
	{"csv", "FILE", "write one line per row", AT(csv)},
	{"json", "FILE", "write everything, with memory and throughput over time", AT(json)},
	{"html", "FILE", "write an HTML page with tables and charts", AT(html)},
	{0},
};

static const struct cmd_usage usage = {
	.verb = "bench",
	.forms = "patterns|backpressure|orders [OPTION ...]",
	.about = "Compares patterns for many slow jobs: published figures, what arithmetic allows,\n"
		 "and what this machine measures.\n\n"
		 "  patterns       queue, semaphore, rate, chunked, naive and auto on 10,000 URLs,\n"
		 "                 with real requests to its own weir mock: half an hour\n"
		 "  backpressure   four ways to take a permit, 100,000 sleeps, 500 in flight:\n"
		 "                 2 minutes\n"
		 "  orders         10,000 orders of 200 ms through weir into PostgreSQL: in five\n"
		 "                 patterns, by four processes with a queue in Redis, and by COPY,\n"
		 "                 on servers it starts: 8 minutes",
	.options = options,
};

/* ---- what is to be done */

/* NULL, with err->text. */
static const struct bench_scenario *choose_scenario(const struct bench_command *command, struct weir_error *err)
{
	const struct bench_load *load = &command->suite.load, *narrow = &bench_backpressure_narrow.load;
	const char *wrong = NULL;
	if (!strcmp(command->what, "patterns"))
		return command->quick ? &bench_quick : &bench_patterns;
	bool orders = !strcmp(command->what, "orders");
	if (!orders && strcmp(command->what, "backpressure") != 0)
		weir_error_set(err, WEIR_EINVAL, "unknown suite '%.100s'; expected patterns, backpressure or orders",
			       command->what);
	else if (command->urls)
		wrong = "--urls belongs to patterns: the others have no URLs of their own";
	else if (orders)
		return &bench_orders;
	else if (command->quick)
		wrong = "--quick belongs to patterns and orders; use --jobs N for a shorter run";
	else if (command->latency_set && load->low == narrow->low && load->high == narrow->high)
		return &bench_backpressure_narrow;
	else
		return &bench_backpressure;
	if (wrong)
		weir_error_set(err, WEIR_EINVAL, "%s", wrong);
	return NULL;
}

static void set_load(struct bench_command *command)
{
	struct bench_suite *suite = &command->suite;
	struct bench_load load = suite->scenario->load;
	if (suite->model && suite->scenario == &bench_patterns)
		load.jobs = 1000000;
	if (command->quick && suite->scenario == &bench_orders)
		load = (struct bench_load){.jobs = 400, .low = 20 * WEIR_MSEC, .high = 20 * WEIR_MSEC};
	if (suite->load.jobs)
		load.jobs = suite->load.jobs;
	else if (suite->url_count)
		load.jobs = suite->url_count;
	if (command->latency_set) {
		load.low = suite->load.low;
		load.high = suite->load.high;
	}
	if (command->errors_set)
		load.errors = suite->load.errors;
	suite->load = load;
}

/* Of names that mean such addresses each call says so by itself. */
static bool is_allowed(const struct bench_command *command, const struct http_origin *origin)
{
	if (command->suite.allow_private)
		return true;
	return origin->numeric ? http_address_text_is_public(origin->host) : strcmp(origin->host, "localhost") != 0;
}

static int add_url(struct bench_command *command, char **urls, char *line, size_t number, struct weir_error *err)
{
	struct http_origin origin;
	line[strcspn(line, "\r\n")] = 0;
	if (!line[0])
		return 0;
	const char *wrong = http_origin_parse(line, &origin);
	if (wrong)
		return weir_error_set(err, WEIR_EINVAL, "%s:%zu: %s", command->urls, number, wrong);
	if (!is_allowed(command, &origin))
		return weir_error_set(err, WEIR_EINVAL,
				      "%s:%zu: %s is a loopback or private address; --allow-private permits it",
				      command->urls, number, origin.host);
	if (command->suite.url_count == URLS_MOST)
		return weir_error_set(err, WEIR_EINVAL, "%s: more than %d URLs", command->urls, URLS_MOST);
	urls[command->suite.url_count] = strdup(line);
	if (!urls[command->suite.url_count])
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	command->suite.url_count++;
	return 0;
}

static int read_urls(struct bench_command *command, struct weir_error *err)
{
	char **urls = calloc(URLS_MOST, sizeof *urls), *line = NULL;
	size_t room = 0, number = 0;
	FILE *file = urls ? fopen(command->urls, "re") : NULL;
	int code = 0;
	command->suite.urls = urls;
	if (!file)
		return weir_error_set(err, WEIR_EINVAL, "%s: %s", command->urls, strerror(errno));
	while (!code && getline(&line, &room, file) > 0)
		code = add_url(command, urls, line, ++number, err);
	if (!code && ferror(file))
		code = weir_error_set(err, WEIR_EIO, "%s cannot be read", command->urls);
	if (!code && !command->suite.url_count)
		code = weir_error_set(err, WEIR_EINVAL, "%s has no URLs", command->urls);
	free(line);
	fclose(file);
	return code;
}

static void free_urls(struct bench_suite *suite)
{
	for (size_t i = 0; i < suite->url_count; i++)
		free(suite->urls[i]);
	free((void *)(uintptr_t)suite->urls);
}

static int check_together(struct bench_command *command, struct weir_error *err)
{
	struct bench_suite *suite = &command->suite;
	if (command->urls && (suite->model || command->latency_set || command->errors_set))
		return weir_error_set(err, WEIR_EINVAL,
				      "--urls cannot be combined with --virtual, --latency or --errors");
	if (!command->urls && (suite->duration || suite->allow_private))
		return weir_error_set(err, WEIR_EINVAL, "--duration and --allow-private require --urls");
	if (suite->peers && (suite->model || command->urls || suite->scenario->form == BENCH_FORM_HEAP))
		return weir_error_set(err, WEIR_EINVAL, "--peers belongs to patterns and orders, on the real clock");
	if (suite->model && suite->scenario == &bench_orders)
		return weir_error_set(err, WEIR_EINVAL, "orders has no --virtual: a database has no virtual clock");
	if (suite->url && suite->scenario != &bench_orders)
		return weir_error_set(err, WEIR_EINVAL, "--url belongs to orders; --urls FILE has URLs to fetch");
	for (size_t i = 0; i < suite->only_count; i++)
		if (!bench_find_variant(suite->scenario, suite->only[i])) {
			struct buf names = {0};
			for (size_t v = 0; v < suite->scenario->count; v++)
				buf_addf(&names, " %s", suite->scenario->variants[v].name);
			weir_error_set(err, WEIR_EINVAL, "--only: unknown row '%.60s'; expected one of%s",
				       suite->only[i], names.data ? names.data : "");
			buf_fini(&names);
			return WEIR_EINVAL;
		}
	return 0;
}

/* ---- where the results go */

/* Said before minutes are spent on what could not be kept. */
static int check_file(const char *path, struct weir_error *err)
{
	if (!path || !strcmp(path, "-"))
		return 0;
	bool is_new = access(path, F_OK) < 0;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return weir_error_set(err, -errno, "cannot write %s: %s", path, strerror(errno));
	close(fd);
	if (is_new)
		unlink(path); /* nothing is left of a bench that is stopped */
	return 0;
}

static int write_file(const char *path, const struct bench_report *report,
		      void (*write)(const struct bench_report *report, struct buf *out))
{
	struct buf text = {0};
	if (!path)
		return 0;
	write(report, &text);
	FILE *file = strcmp(path, "-") ? fopen(path, "we") : stdout;
	bool good = file && !text.failed && fwrite(text.data, 1, text.len, file) == text.len && !fflush(file);
	int error = errno;
	if (file && file != stdout && fclose(file) && good) {
		error = errno;
		good = false;
	}
	if (!good)
		terminal_complain("weir bench", "cannot write %s: %s", path, strerror(error));
	buf_fini(&text);
	return good ? 0 : EX_IOERR;
}

static void print_days(const struct bench_report *report)
{
	weir_nsec model = 0, real = 0;
	char a[32], b[32];
	for (size_t i = 0; i < report->count; i++) {
		model += report->rows[i].result.took;
		real += report->rows[i].result.real_took;
	}
	if (report->model)
		printf("All of it: %s on the virtual clock, in %s.\n", bench_text_time(model, a),
		       bench_text_time(real, b));
}

static int write_results(const struct bench_command *command, const struct bench_report *report)
{
	bool to_stdout = (command->csv && !strcmp(command->csv, "-")) ||
			 (command->json && !strcmp(command->json, "-")) ||
			 (command->html && !strcmp(command->html, "-"));
	int code = to_stdout ? 0 : write_file("-", report, bench_write_text);
	int csv = write_file(command->csv, report, bench_write_csv);
	int json = write_file(command->json, report, bench_write_json);
	int html = write_file(command->html, report, bench_write_html);
	if (!to_stdout)
		print_days(report);
	code = code ? code : csv ? csv : json ? json : html;
	for (size_t i = 0; !code && i < report->count; i++)
		if (!report->rows[i].peer && report->rows[i].result.code < 0)
			code = EX_UNAVAILABLE;
	return code;
}

static void tell(const char *line)
{
	terminal_complain("weir bench", "%s", line);
}

static int run_bench(struct bench_command *command, struct weir_error *err)
{
	struct bench_report report = {0};
	struct bench_suite *suite = &command->suite;
	suite->scenario = choose_scenario(command, err);
	if (!suite->scenario || check_together(command, err) || (command->urls && read_urls(command, err)))
		return EX_USAGE;
	if (check_file(command->csv, err) || check_file(command->json, err) || check_file(command->html, err))
		return EX_IOERR;
	set_load(command);
	bool instant = suite->load.high <= 0 && suite->scenario != &bench_orders;
	if (suite->load.low > suite->load.high || instant)
		return weir_error_set(err, WEIR_EINVAL, "the latency is not a range"), EX_USAGE;
	char *weir = cmd_helper_path("weir");
	suite->weir = weir;
	suite->tell = tell;
	int code = weir ? bench_suite_run(suite, &report, err) : weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (!code) {
		code = write_results(command, &report);
		bench_suite_free(&report);
	} else {
		code = code == WEIR_ENOMEM ? EX_OSERR : EX_UNAVAILABLE;
	}
	free(weir);
	return code;
}

static int bench(int argc, char **argv)
{
	struct bench_command command = {.suite = {.seed = 1}};
	struct weir_error err = {0};
	int words, code;
	command.suite.only = command.only;
	if (!cmd_options_read(&usage, argc, argv, &command, &words, &code))
		return code;
	if (words != 1)
		return cmd_refuse(&usage, "%s",
				  words ? "too many arguments" : "which suite? patterns, backpressure or orders");
	command.what = argv[0];
	code = run_bench(&command, &err);
	free_urls(&command.suite);
	if (err.code && code == EX_USAGE)
		return cmd_refuse(&usage, "%s", err.text);
	if (err.code)
		terminal_complain("weir bench", "%s", err.text);
	return code;
}

int main(int argc, char **argv)
{
	return cmd_run_verb(bench, argc, argv);
}
