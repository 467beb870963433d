/* SPDX-License-Identifier: MIT */
/*
 * weir get: fetches a list of URLs.  It is a pipeline that is written here instead of in a file, and checked and run
 * like any other:  lines or range -> http -> jsonl or stdout.
 */
#include "cmd/cmd.h"
#include "cmd/session.h"
#include "port/buf.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

struct get_options {
	const char *input, *range, *url, *output;
	const char *concurrency, *rate, *timeout, *attempts, *method;
	struct get_header {
		const char *name, *value;
		size_t name_len;
	} headers[32];
	size_t header_count;
	struct session_options session;
};

static void print_help(FILE *to)
{
	fputs("usage: weir get -i URLS [-o OUT] [OPTION ...]\n"
	      "       weir get --range FROM-TO URL [-o OUT] [OPTION ...]    with {} in the URL\n\n"
	      "Fetches each URL and writes one JSON record a line: url, status, ok, latency_ms,\n"
	      "bytes, attempts, error, body.  A URL that failed has a record, too.\n\n"
	      "  -i FILE             URLs, one a line; - is the standard input\n"
	      "  -o FILE             the records; default: the standard output\n"
	      "  --concurrency N     at once; default auto: as many as each host can take\n"
	      "  --rate N/s          most requests to each host in a time: 100/s, 60/m\n"
	      "  --timeout TIME      for one attempt; default 30s\n"
	      "  --attempts N        tries of a URL in all; default 5\n"
	      "  --method METHOD     default GET\n"
	      "  --header 'NAME: VALUE'\n"
	      "  --allow-private     loopback and private addresses may be fetched\n"
	      "  --summary FILE      write the totals as JSON; - is the standard output\n"
	      "  --quiet             no progress\n"
	      "  --help\n",
	      to);
}

static void add_str(struct buf *yaml, const char *text)
{
	buf_add_json_str(yaml, text, strlen(text)); /* a JSON string is a YAML one */
}

/* "{}" in a URL stands for the number. */
static void add_url(struct buf *yaml, const char *url)
{
	const char *hole = url ? strstr(url, "{}") : NULL;
	struct buf text = {0};
	if (hole) {
		buf_add(&text, url, (size_t)(hole - url));
		buf_addf(&text, "${.}%s", hole + 2);
	} else {
		buf_add_str(&text, "${.}");
	}
	yaml->failed |= text.failed;
	add_str(yaml, text.data ? text.data : "");
	buf_fini(&text);
}

static void add_headers(struct buf *yaml, const struct get_options *get)
{
	if (!get->header_count)
		return;
	buf_add_str(yaml, "      headers:\n");
	for (size_t i = 0; i < get->header_count; i++) {
		buf_add_str(yaml, "        ");
		buf_add_json_str(yaml, get->headers[i].name, get->headers[i].name_len);
		buf_add_str(yaml, ": ");
		add_str(yaml, get->headers[i].value);
		buf_add_char(yaml, '\n');
	}
}

static void add_source(struct buf *yaml, const struct get_options *get)
{
	if (get->input && !strcmp(get->input, "-")) {
		buf_add_str(yaml, "  stdin: { format: lines }");
	} else if (get->input) {
		buf_add_str(yaml, "  lines: { path: ");
		add_str(yaml, get->input);
		buf_add_str(yaml, " }");
	} else if (get->range) {
		buf_add_str(yaml, "  range: ");
		add_str(yaml, get->range);
	}
}

static void write_pipeline(const struct get_options *get, struct buf *yaml)
{
	buf_add_str(yaml, "name: get\nsource:\n");
	add_source(yaml, get);
	buf_add_str(yaml, "\nbroker: { memory: {} }\nsteps:\n  - http:\n      url: ");
	add_url(yaml, get->url);
	buf_add_str(yaml, "\n      expect: text\n      method: ");
	add_str(yaml, get->method);
	buf_add_str(yaml, "\n      timeout: ");
	add_str(yaml, get->timeout);
	buf_add_char(yaml, '\n');
	add_headers(yaml, get);
	buf_add_str(yaml, "flow:\n  concurrency: ");
	add_str(yaml, get->concurrency);
	if (get->rate) {
		buf_add_str(yaml, "\n  rate: ");
		add_str(yaml, get->rate);
	}
	/* Of a list nothing waits for a host to come back from the dead: its records shall come. */
	buf_add_str(yaml, "\n  breaker: { when_open: reject }");
	buf_add_str(yaml, "\n  retry: { attempts: ");
	add_str(yaml, get->attempts);
	buf_add_str(yaml, " }\n");
	/* Each URL has its record, whatever becomes of it: nothing to stop for. */
	buf_add_str(yaml, "stop_when: { dead: 0% }\nsink:\n");
	if (strcmp(get->output, "-")) {
		buf_add_str(yaml, "  jsonl: { path: ");
		add_str(yaml, get->output);
		buf_add_str(yaml, " }\n");
	} else {
		buf_add_str(yaml, "  stdout: {}\n");
	}
}

static int run_get(const struct get_options *get)
{
	struct weir_error err = {0};
	struct plan *plan = NULL;
	struct buf yaml = {0};
	write_pipeline(get, &yaml);
	int code = yaml.failed ? weir_error_set(&err, WEIR_ENOMEM, "out of memory")
			       : spec_parse(yaml.data, yaml.len, "get", ".", &(struct spec_options){0}, &plan, &err);
	buf_fini(&yaml);
	if (code) {
		fprintf(stderr, "weir get: %s\n", err.text);
		return EX_USAGE;
	}
	int exit_code = session_run(plan, &get->session);
	plan_free(plan);
	return exit_code;
}

/* What the options say about one another: NULL, or what is wrong. */
static const char *check_options(const struct get_options *get)
{
	if (!get->input && !get->range)
		return "-i FILE or --range is needed";
	if (get->input && get->range)
		return "-i and --range exclude each other";
	if (get->range && (!get->url || !strstr(get->url, "{}")))
		return "--range needs a URL with {} in it";
	if (get->input && get->url)
		return "URLs come from -i FILE; a URL beside it makes sense with --range only";
	return NULL;
}

static const struct option long_options[] = {
	{"input", required_argument, NULL, 'i'},    {"output", required_argument, NULL, 'o'},
	{"range", required_argument, NULL, 'r'},    {"concurrency", required_argument, NULL, 'c'},
	{"rate", required_argument, NULL, 'R'},     {"timeout", required_argument, NULL, 't'},
	{"attempts", required_argument, NULL, 'a'}, {"method", required_argument, NULL, 'm'},
	{"header", required_argument, NULL, 'H'},   {"allow-private", no_argument, NULL, 'p'},
	{"summary", required_argument, NULL, 's'},  {"quiet", no_argument, NULL, 'q'},
	{"help", no_argument, NULL, 'h'},           {0},
};

static bool take_header(struct get_options *get, const char *text)
{
	const char *colon = strchr(text, ':');
	if (!colon || get->header_count == sizeof get->headers / sizeof get->headers[0]) {
		fprintf(stderr, "weir get: --header wants 'NAME: VALUE', at most %zu times\n",
			sizeof get->headers / sizeof get->headers[0]);
		return false;
	}
	get->headers[get->header_count++] = (struct get_header){
		.name = text, .name_len = (size_t)(colon - text), .value = colon + 1 + strspn(colon + 1, " \t")};
	return true;
}

static bool take_option(struct get_options *get, int option, const char *value)
{
	switch (option) {
	case 'i':
		get->input = value;
		return true;
	case 'o':
		get->output = value;
		return true;
	case 'r':
		get->range = value;
		return true;
	case 'c':
		get->concurrency = value;
		return true;
	case 'R':
		get->rate = value;
		return true;
	case 't':
		get->timeout = value;
		return true;
	case 'a':
		get->attempts = value;
		return true;
	case 'm':
		get->method = value;
		return true;
	case 'H':
		return take_header(get, value);
	case 'p':
		get->session.allow_private = true;
		return true;
	case 's':
		get->session.summary = value;
		return true;
	case 'q':
		get->session.quiet = true;
		return true;
	default:
		return false;
	}
}

int cmd_get(int argc, char **argv)
{
	struct get_options get = {
		.output = "-",
		.concurrency = "auto",
		.timeout = "30s",
		.attempts = "5",
		.method = "GET",
		.session = {.record = true},
	};
	int option;
	while ((option = getopt_long(argc, argv, "hi:o:", long_options, NULL)) >= 0) {
		if (option == 'h') {
			print_help(stdout);
			return 0;
		}
		if (!take_option(&get, option, optarg)) {
			print_help(stderr);
			return EX_USAGE;
		}
	}
	if (optind < argc)
		get.url = argv[optind++];
	const char *wrong = optind < argc ? "too many arguments" : check_options(&get);
	if (wrong) {
		fprintf(stderr, "weir get: %s\n\n", wrong);
		print_help(stderr);
		return EX_USAGE;
	}
	return run_get(&get);
}
