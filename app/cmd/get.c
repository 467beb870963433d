/* SPDX-License-Identifier: MIT */
/*
 * weir get: fetches a list of URLs.  It is a pipeline that is written here instead of in a file, and checked and run
 * like any other:  lines or range -> http -> jsonl or stdout.
 *
 * With -o FILE it is durable, too: its state lies in .weir/get-FILE beside FILE, without the ending.  What cannot be
 * written exactly (the standard output, a FIFO) has no state.
 */
#include "cmd/cmd.h"
#include "cmd/files.h"
#include "cmd/options.h"
#include "cmd/session.h"
#include "data/buf.h"
#include "data/terminal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

enum { HEADERS_MOST = 32 };

struct get_options {
	const char *input, *range, *url, *output;
	const char *concurrency, *rate, *timeout, *attempts, *method, *on_start, *ca, *give_up, *throttled;
	char name[72]; /* of the run */
	bool durable, ordered;
	struct get_header {
		const char *name, *value;
		size_t name_len;
	} headers[HEADERS_MOST];
	size_t header_count;
	struct session_options session;
};

/* What is before a value, and the value, unless it is NULL. */
static void add(struct buf *yaml, const char *before, const char *value)
{
	if (!value)
		return;
	buf_add_str(yaml, before);
	buf_add_json_str(yaml, value, strlen(value)); /* a JSON string is a YAML one */
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
	add(yaml, "", text.data ? text.data : "");
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
		add(yaml, ": ", get->headers[i].value);
		buf_add_char(yaml, '\n');
	}
}

static void add_source(struct buf *yaml, const struct get_options *get)
{
	if (get->input && !strcmp(get->input, "-")) {
		buf_add_str(yaml, "  stdin: { format: lines }");
	} else if (get->input) {
		add(yaml, "  lines: { path: ", get->input);
		buf_add_str(yaml, " }");
	}
	add(yaml, "  range: ", get->range);
}

static void write_pipeline(const struct get_options *get, struct buf *yaml)
{
	buf_addf(yaml, "name: %s\nsource:\n", get->name);
	add_source(yaml, get);
	buf_addf(yaml, "\nbroker: { %s: {} }\nsteps:\n  - http:\n      url: ", get->durable ? "sqlite" : "memory");
	add_url(yaml, get->url);
	add(yaml, "\n      record: true\n      expect: text\n      method: ", get->method);
	add(yaml, "\n      timeout: ", get->timeout);
	add(yaml, "\n      tls: { ca: ", *get->ca ? get->ca : NULL);
	buf_add_str(yaml, *get->ca ? " }\n" : "\n");
	add_headers(yaml, get);
	add(yaml, "flow:\n  concurrency: ", get->concurrency);
	add(yaml, "\n  rate: ", get->rate);
	/* A list comes to its end: what waits for a host that is down has its record after a while.  So has a page
	 * that may not be seen, immediately. */
	add(yaml, "\n  breaker: { denied: 0%, give_up: ", get->give_up);
	add(yaml, " }\n  retry: { attempts: ", get->attempts);
	add(yaml, ", throttled: ", get->throttled);
	/* Each URL has its record, whatever becomes of it: nothing to stop for. */
	buf_add_str(yaml, " }\nstop_when: { dead: 0% }\nsink:\n");
	if (strcmp(get->output, "-")) {
		add(yaml, "  jsonl: { path: ", get->output);
		add(yaml, ", on_start: ", get->on_start);
		buf_add_str(yaml, " }\n");
	} else {
		buf_add_str(yaml, "  stdout: {}\n");
	}
	if (get->ordered)
		buf_add_str(yaml, "  order: source\n");
}

/* Its name and whether it is durable, by where the records go: .weir/get-out beside out.jsonl. */
static int find_state(struct get_options *get, char **ret_state)
{
	struct stat st;
	const char *slash = strrchr(get->output, '/'), *base = slash ? slash + 1 : get->output;
	const char *dot = strrchr(base, '.');
	int n = dot && dot > base ? (int)(dot - base) : (int)strlen(base);
	bool plain = strcmp(get->output, "-") != 0 && (stat(get->output, &st) || S_ISREG(st.st_mode));
	get->durable = plain;
	snprintf(get->name, sizeof get->name, plain ? "get-%.*s" : "get", n < 60 ? n : 60, base);
	for (char *c = get->name; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '-')
			*c = '_';
	*ret_state = NULL;
	if (!plain)
		return 0;
	n = get->session.state ? asprintf(ret_state, "%s", get->session.state)
			       : asprintf(ret_state, "%.*s.weir/%s", slash ? (int)(slash - get->output) + 1 : 0,
					  get->output, get->name);
	return n < 0 ? WEIR_ENOMEM : 0;
}

static const struct cmd_usage usage; /* below */

static int run_get(struct get_options *get)
{
	struct weir_error err = {0};
	struct plan *plan = NULL;
	struct buf yaml = {0};
	char *state;
	int code = find_state(get, &state);
	get->session.state = state;
	write_pipeline(get, &yaml);
	code = code || yaml.failed
		       ? weir_error_set(&err, WEIR_ENOMEM, "out of memory")
		       : spec_parse(yaml.data, yaml.len, "get", ".", &(struct spec_options){0}, &plan, &err);
	buf_fini(&yaml);
	if (code) {
		free(state);
		return cmd_refuse(&usage, "%s", err.text);
	}
	int exit_code = EX_CONFIG;
	if (cmd_files_check(plan, get->session.state, get->session.summary, &err))
		terminal_complain("weir get", "%s", err.text);
	else
		exit_code = session_run(plan, &get->session);
	plan_free(plan);
	free(state);
	return exit_code;
}

/* What the options say about one another: NULL, or what is wrong. */
static const char *check_options(const struct get_options *get)
{
	if (!get->input && !get->range)
		return "-i FILE or --range is required";
	if (get->input && get->range)
		return "-i and --range exclude each other";
	if (get->range && (!get->url || !strstr(get->url, "{}")))
		return "--range needs a URL with {} in it";
	if (get->input && get->url)
		return "-i FILE and a URL exclude each other; a URL needs --range";
	return NULL;
}

static int set_header(void *opts, const char *value, struct weir_error *err)
{
	struct get_options *get = opts;
	const char *colon = strchr(value, ':');
	if (!colon || get->header_count == HEADERS_MOST)
		return weir_error_set(err, WEIR_EINVAL, "expected 'NAME: VALUE', at most %d times", HEADERS_MOST);
	get->headers[get->header_count++] = (struct get_header){
		.name = value, .name_len = (size_t)(colon - value), .value = colon + 1 + strspn(colon + 1, " \t")};
	return 0;
}

static int set_progress(void *arg, const char *value, struct weir_error *err)
{
	struct session_options *opts = &((struct get_options *)arg)->session;
	return progress_form_read(value, &opts->progress, err);
}

#define AT(field) offsetof(struct get_options, field)

static const struct cmd_option options[] = {
	{"input", "FILE", "file of URLs, one a line; - is the standard input", AT(input), .letter = 'i'},
	{"range", "FROM-TO", "numbers to put in place of {} in URL", AT(range)},
	{"output", "FILE", "file of records (default: the standard output)", AT(output), .letter = 'o'},
	{"ordered", NULL, "records in the order of the URLs (default: as the answers come)", AT(ordered)},
	{"on-start", "WORD",
	 "append or replace: what to do with an OUT that another program wrote (default: refuse to run)", AT(on_start)},
	{"fresh", "[=discard]", "start over and replace the records of an earlier run", AT(session.fresh)},
	{"adopt", NULL, "resume although the options have changed", AT(session.adopt)},
	{"state", "DIR", "state folder (default: .weir/get-OUT beside OUT)", AT(session.state)},
	{"concurrency", "N", "maximum requests in flight (default auto: as many as each host can take)",
	 AT(concurrency)},
	{"rate", "N/s", "maximum requests to each host in a time, such as 100/s or 60/m", AT(rate)},
	{"timeout", "TIME", "time limit of an attempt (default 30s); connecting may take a sixth of it, at least 5s",
	 AT(timeout)},
	{"attempts", "N", "maximum attempts per URL (default 5)", AT(attempts)},
	{"give-up", "TIME", "how long URLs wait for a host that is down (default 5m)", AT(give_up)},
	{"throttled", "TIME",
	 "how long a URL may be answered 429 while its host serves others; 0: any time (default 30s)", AT(throttled)},
	{"method", "METHOD", "request method (default GET)", AT(method)},
	{"header", "'NAME: VALUE'", "request header; may be repeated", .set = set_header},
	{"ca", "FILE",
	 "certificates (PEM) to trust instead of the system's (default: the file that SSL_CERT_FILE names)", AT(ca)},
	{"allow-private", NULL, "allow loopback and private addresses", AT(session.allow_private)},
	{"summary", "FILE", "write the totals as JSON; - is the standard output", AT(session.summary)},
	{"progress", "FORM", PROGRESS_HELP, .set = set_progress},
	{"quiet", NULL, "no progress; one line if the run fails or stops early", AT(session.quiet)},
	{0},
};

static const struct cmd_usage usage = {
	.verb = "get",
	.forms = "-i URLS [-o OUT] [OPTION ...]\n--range FROM-TO URL [-o OUT] [OPTION ...]    with {} in the URL",
	.about = "Fetches each URL and writes one JSON record a line: url, status, ok, latency_ms,\n"
		 "bytes, attempts, error, body.  URLs that fail have a record, too.  With -o the\n"
		 "same command resumes where it stopped, even after a crash, and fetches URLs that\n"
		 "were added to the list.",
	.options = options,
};

int cmd_get(int argc, char **argv)
{
	struct get_options get = {
		.output = "-",
		.concurrency = "auto",
		.timeout = "30s",
		.attempts = "5",
		.method = "GET",
		.on_start = "refuse",
		.ca = "",
		.give_up = "5m",
		.throttled = "30s",
		.session = {.record = true},
	};
	int words, code;
	if (!cmd_options_read(&usage, argc, argv, &get, &words, &code))
		return code;
	get.url = words ? argv[0] : NULL;
	const char *wrong = words > 1 ? "too many arguments" : check_options(&get);
	return wrong ? cmd_refuse(&usage, "%s", wrong) : run_get(&get);
}
