/* SPDX-License-Identifier: MIT */
/*
 * weir bench: the articles' patterns and tables, on this machine.  This file is the options and where the results go;
 * what is run is in bench/.
 *
 * To add an option: a row in `options` and its function; --help comes from the same table.
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
#include "cmd/paths.h"
#include "http/origin.h"
#include "mock/latency.h"
#include "mock/text.h"
#include "port/buf.h"

enum { URLS_MOST = 1000000, ONLY_MOST = 16 };

struct bench_command {
	struct bench_suite suite;
	const char *what, *urls, *csv, *json, *html;
	bool quick, jobs_set, latency_set, errors_set, private_set;
	char *only[ONLY_MOST];
};

static int set_quick(struct bench_command *command, const char *value, struct weir_error *err)
{
	(void)value, (void)err;
	command->quick = true;
	return 0;
}

static int set_virtual(struct bench_command *command, const char *value, struct weir_error *err)
{
	(void)value, (void)err;
	command->suite.model = true;
	return 0;
}

static int set_peers(struct bench_command *command, const char *value, struct weir_error *err)
{
	(void)value, (void)err;
	command->suite.peers = true;
	return 0;
}

static int set_no_recovery(struct bench_command *command, const char *value, struct weir_error *err)
{
	(void)value, (void)err;
	command->suite.no_recovery = true;
	return 0;
}

static int set_allow_private(struct bench_command *command, const char *value, struct weir_error *err)
{
	(void)value, (void)err;
	command->suite.allow_private = command->private_set = true;
	return 0;
}

static int read_number(const char *value, uint64_t low, uint64_t high, uint64_t *ret_number, struct weir_error *err)
{
	uint64_t number;
	if (!mock_text_number(value, strlen(value), high, &number) || number < low)
		return weir_error_set(err, WEIR_EINVAL,
				      "'%.100s' is not understood; expected a number from %" PRIu64 " to %" PRIu64,
				      value, low, high);
	*ret_number = number;
	return 0;
}

static int set_jobs(struct bench_command *command, const char *value, struct weir_error *err)
{
	command->jobs_set = true;
	return read_number(value, 1, 100000000, &command->suite.load.jobs, err);
}

static int set_seed(struct bench_command *command, const char *value, struct weir_error *err)
{
	return read_number(value, 0, INT64_MAX, &command->suite.seed, err);
}

static int set_latency(struct bench_command *command, const char *value, struct weir_error *err)
{
	struct mock_latency latency;
	int code = mock_latency_parse(value, &latency, err);
	if (code)
		return code;
	struct bench_load *load = &command->suite.load;
	bool good = latency.parts == 1 && latency.part[0].high > 0 && latency.part[0].high <= 3600 * WEIR_SEC;
	load->low = latency.part[0].low / WEIR_USEC * WEIR_USEC; /* as the mock is told */
	load->high = latency.part[0].high / WEIR_USEC * WEIR_USEC;
	mock_latency_fini(&latency);
	command->latency_set = true;
	return good ? 0 : weir_error_set(err, WEIR_EINVAL, "expected a range such as 10ms..3s, an hour at most");
}

static int set_errors(struct bench_command *command, const char *value, struct weir_error *err)
{
	command->errors_set = true;
	if (mock_text_percent(value, strlen(value), &command->suite.load.errors))
		return 0;
	return weir_error_set(err, WEIR_EINVAL, "'%.100s' is no share; expected 5%%", value);
}

static int set_only(struct bench_command *command, const char *value, struct weir_error *err)
{
	if (command->suite.only_count == ONLY_MOST)
		return weir_error_set(err, WEIR_EINVAL, "at most %d times", ONLY_MOST);
	command->only[command->suite.only_count++] = (char *)(uintptr_t)value;
	return 0;
}

static int set_urls(struct bench_command *command, const char *value, struct weir_error *err)
{
	(void)err;
	command->urls = value;
	return 0;
}

static int set_duration(struct bench_command *command, const char *value, struct weir_error *err)
{
	if (mock_text_duration(value, strlen(value), 0, &command->suite.duration) && command->suite.duration > 0)
		return 0;
	return weir_error_set(err, WEIR_EINVAL, "'%.100s' is no duration; expected 30s", value);
}

static int set_csv(struct bench_command *command, const char *value, struct weir_error *err)
{
	(void)err;
	command->csv = value;
	return 0;
}

static int set_json(struct bench_command *command, const char *value, struct weir_error *err)
{
	(void)err;
	command->json = value;
	return 0;
}

static int set_html(struct bench_command *command, const char *value, struct weir_error *err)
{
	(void)err;
	command->html = value;
	return 0;
}

static const struct bench_option {
	const char *name, *value; /* value NULL: takes none */
	int (*set)(struct bench_command *command, const char *value, struct weir_error *err);
	const char *text;
} options[] = {
	{"--quick", NULL, set_quick, "1,000 jobs of 10 to 300 ms, 50 at once: minutes"},
	{"--virtual", NULL, set_virtual, "a model on the virtual clock: 1,000,000 jobs in a minute"},
	{"--urls", "FILE", set_urls, "GET your own URLs, one a line, instead of a mock"},
	{"--duration", "TIME", set_duration, "of --urls: round and round for so long; else each once"},
	{"--allow-private", NULL, set_allow_private, "of --urls: loopback and private addresses, too"},
	{"--only", "PATTERN", set_only, "this row alone; may be given several times"},
	{"--jobs", "N", set_jobs, "so many jobs"},
	{"--latency", "LOW..HIGH", set_latency, "how long the upstream takes, uniform in this range"},
	{"--errors", "PERCENT", set_errors, "share of requests that are answered with 500"},
	{"--seed", "N", set_seed, "of the model and of the mock (default 1)"},
	{"--no-recovery", NULL, set_no_recovery, "without the second run, whose upstream goes away"},
	{"--peers", NULL, set_peers, "beside asyncio, threads, Go, where installed"},
	{"--csv", "FILE", set_csv, "a line for each row"},
	{"--json", "FILE", set_json, "all of it, with memory and throughput over time"},
	{"--html", "FILE", set_html, "a page with tables and charts, in one file"},
};

enum { OPTIONS = sizeof options / sizeof options[0] };

static void print_help(FILE *to)
{
	fputs("usage: weir bench patterns|backpressure [OPTION ...]\n\n"
	      "Sets what was published of patterns for many slow jobs beside what arithmetic\n"
	      "allows and what this machine measures.\n\n"
	      "  patterns       queue, semaphore, rate, chunked, naive and auto on 10,000 URLs,\n"
	      "                 real requests to a weir mock of its own: half an hour\n"
	      "  backpressure   four ways to take a permit, 100,000 sleeps, 500 at once:\n"
	      "                 2 minutes\n\n",
	      to);
	for (size_t i = 0; i < OPTIONS; i++) {
		char name[40];
		snprintf(name, sizeof name, "%s%s%s", options[i].name, options[i].value ? " " : "",
			 options[i].value ? options[i].value : "");
		fprintf(to, "  %-20s %s\n", name, options[i].text);
	}
	fputs("  --help\n", to);
}

static const struct bench_option *find_option(const char *word, const char **ret_value)
{
	size_t n = strcspn(word, "=");
	*ret_value = word[n] ? word + n + 1 : NULL;
	for (size_t i = 0; i < OPTIONS; i++)
		if (strlen(options[i].name) == n && !memcmp(options[i].name, word, n))
			return &options[i];
	return NULL;
}

static int read_option(struct bench_command *command, int argc, char **argv, int *i, struct weir_error *err)
{
	struct weir_error inner = {0};
	const char *value;
	const struct bench_option *option = find_option(argv[*i], &value);
	if (!option)
		return weir_error_set(err, WEIR_EINVAL, "unknown option '%.100s'; see weir bench --help", argv[*i]);
	if (value && !option->value)
		return weir_error_set(err, WEIR_EINVAL, "%s takes no value", option->name);
	if (option->value && !value && *i + 1 == argc)
		return weir_error_set(err, WEIR_EINVAL, "%s needs a value: %s", option->name, option->value);
	if (option->value && !value)
		value = argv[++*i];
	if (option->set(command, value, &inner) < 0)
		return weir_error_set(err, inner.code, "%s: %s", option->name, inner.text);
	return 0;
}

/* ---- what is to be done */

/* NULL, with err->text. */
static const struct bench_scenario *choose_scenario(const struct bench_command *command, struct weir_error *err)
{
	const struct bench_load *load = &command->suite.load, *narrow = &bench_backpressure_narrow.load;
	const char *wrong = NULL;
	if (!strcmp(command->what, "patterns"))
		return command->quick ? &bench_quick : &bench_patterns;
	if (!strcmp(command->what, "orders"))
		wrong = "orders needs PostgreSQL and Redis, which this version does not know yet; there are patterns "
			"and backpressure";
	else if (strcmp(command->what, "backpressure") != 0)
		weir_error_set(err, WEIR_EINVAL, "there is no '%.100s'; there are patterns and backpressure",
			       command->what);
	else if (command->quick)
		wrong = "--quick is one of patterns; --jobs N makes this one shorter";
	else if (command->urls)
		wrong = "backpressure sleeps, it calls no URLs";
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
	if (command->jobs_set)
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
				      "%s:%zu: %s is loopback or private; --allow-private if that is what you want",
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
		code = weir_error_set(err, WEIR_EINVAL, "%s holds no URL", command->urls);
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
				      "--urls is what it is: --virtual, --latency and --errors do not go with it");
	if (!command->urls && (suite->duration || command->private_set))
		return weir_error_set(err, WEIR_EINVAL, "--duration and --allow-private go with --urls");
	if (suite->peers && (suite->model || command->urls || suite->scenario->heap_only))
		return weir_error_set(err, WEIR_EINVAL,
				      "--peers meet a weir mock on the real clock: patterns, --quick");
	for (size_t i = 0; i < suite->only_count; i++)
		if (!bench_find_variant(suite->scenario, suite->only[i])) {
			struct buf names = {0};
			for (size_t v = 0; v < suite->scenario->count; v++)
				buf_addf(&names, " %s", suite->scenario->variants[v].name);
			weir_error_set(err, WEIR_EINVAL, "--only: there is no '%.60s'; there are%s", suite->only[i],
				       names.data ? names.data : "");
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
		return weir_error_set(err, -errno, "%s cannot be written: %s", path, strerror(errno));
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
	if (!good)
		fprintf(stderr, "weir bench: %s cannot be written: %s\n", path, strerror(errno));
	if (file && file != stdout && fclose(file) && good)
		good = false;
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
	fprintf(stderr, "weir bench: %s\n", line);
}

static int run_bench(struct bench_command *command, struct weir_error *err)
{
	struct bench_report report;
	struct bench_suite *suite = &command->suite;
	suite->scenario = choose_scenario(command, err);
	if (!suite->scenario || check_together(command, err) || (command->urls && read_urls(command, err)))
		return EX_USAGE;
	if (check_file(command->csv, err) || check_file(command->json, err) || check_file(command->html, err))
		return EX_IOERR;
	set_load(command);
	if (suite->load.low > suite->load.high || suite->load.high <= 0)
		return weir_error_set(err, WEIR_EINVAL, "the latencies are no range"), EX_USAGE;
	char *exe = cmd_exe_path();
	suite->exe = exe;
	suite->tell = tell;
	int code = exe ? bench_suite_run(suite, &report) : WEIR_ENOMEM;
	if (!code) {
		code = write_results(command, &report);
		bench_suite_free(&report);
	} else {
		code = EX_OSERR;
		weir_error_set(err, WEIR_ENOMEM, "out of memory");
	}
	free(exe);
	return code;
}

int cmd_bench(int argc, char **argv)
{
	struct bench_command command = {.suite = {.seed = 1}};
	struct weir_error err = {0};
	int code = 0;
	command.suite.only = command.only;
	for (int i = 1; i < argc && !code; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			print_help(stdout);
			return 0;
		}
		if (argv[i][0] == '-')
			code = read_option(&command, argc, argv, &i, &err);
		else if (command.what)
			code = weir_error_set(&err, WEIR_EINVAL, "too many arguments: '%.100s'", argv[i]);
		else
			command.what = argv[i];
	}
	if (!code && !command.what) {
		print_help(stderr);
		return EX_USAGE;
	}
	code = code ? EX_USAGE : run_bench(&command, &err);
	free_urls(&command.suite);
	if (err.code)
		fprintf(stderr, "weir bench: %s\n", err.text);
	return code;
}
