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
	const char *concurrency, *rate, *timeout, *attempts, *method, *on_start, *ca, *give_up, *throttled, *follow,
		*max_body, *proxy, *save;
	char name[72]; /* of the run */
	bool durable, ordered;
	struct get_header {
		const char *name, *value;
		size_t name_len;
	} headers[HEADERS_MOST];
	size_t header_count;
	struct session_options session;
};

static const struct cmd_usage usage; /* below */

/* A line of the pipeline: what is before a value, the value, and behind # the option that it comes from; nothing if the
 * value is NULL. */
static void add(struct buf *yaml, const char *before, const char *value, const char *option)
{
	if (!value)
		return;
	buf_add_str(yaml, before);
	buf_add_json_str(yaml, value, strlen(value)); /* a JSON string is a YAML one */
	buf_addf(yaml, " # %s\n", option);
}

/* As a template: for each "{}" the hole; "${" has no meaning. */
static void add_holes(struct buf *text, const char *word, const char *hole)
{
	for (const char *p = word; *p; p++) {
		if (!strncmp(p, "{}", 2))
			buf_add_str(text, hole), p++;
		else if (!strncmp(p, "${", 2))
			buf_add_str(text, "$$");
		else
			buf_add_char(text, *p);
	}
}

/* "{}" in a URL stands for the number.  As in a list, http:// may be left out. */
static void add_url(struct buf *yaml, const char *url)
{
	struct buf text = {0};
	if (url && !strstr(url, "://"))
		buf_add_str(&text, "http://");
	add_holes(&text, url ? url : "{}", "${.}");
	yaml->failed |= text.failed;
	add(yaml, "      url: ", text.data ? text.data : "", "URL");
	buf_fini(&text);
}

/* The number: of the range, or of the line in the list. */
static void add_save(struct buf *yaml, const struct get_options *get)
{
	struct buf text = {0};
	if (!get->save)
		return;
	add_holes(&text, get->save, get->range ? "${.}" : "${meta.position}");
	yaml->failed |= text.failed;
	add(yaml, "      save:\n        path: ", text.data ? text.data : "", "--save");
	bool replaces = get->on_start && !strcmp(get->on_start, "replace");
	add(yaml, "        replace: ", replaces ? "true" : NULL, "--on-start");
	buf_fini(&text);
}

static void add_headers(struct buf *yaml, const struct get_options *get)
{
	if (get->header_count)
		buf_add_str(yaml, "      headers:\n");
	for (size_t i = 0; i < get->header_count; i++) {
		buf_add_str(yaml, "        ");
		buf_add_json_str(yaml, get->headers[i].name, get->headers[i].name_len);
		add(yaml, ": ", get->headers[i].value, "--header");
	}
}

static void add_source(struct buf *yaml, const struct get_options *get)
{
	bool is_stdin = get->input && !strcmp(get->input, "-");
	buf_add_str(yaml, is_stdin ? "source:\n  stdin: { format: lines }\n" : "source:\n");
	add(yaml, "  lines:\n    path: ", is_stdin ? NULL : get->input, "-i");
	add(yaml, "  range: ", get->range, "--range");
}

static void add_step(struct buf *yaml, const struct get_options *get)
{
	buf_add_str(yaml, "steps:\n  - http:\n      record: true\n");
	buf_add_str(yaml, get->save ? "" : "      expect: text\n");
	add_url(yaml, get->url);
	add(yaml, "      method: ", get->method, "--method");
	add_save(yaml, get);
	add(yaml, "      follow: ", get->follow, "--follow");
	add(yaml, "      max_body: ", get->max_body, "--max-body");
	add(yaml, "      timeout: ", get->timeout, "--timeout");
	add(yaml, "      proxy: ", get->proxy, "--proxy");
	add(yaml, "      tls:\n        ca: ", *get->ca ? get->ca : NULL, "--ca");
	add_headers(yaml, get);
}

static void add_flow(struct buf *yaml, const struct get_options *get)
{
	add(yaml, "flow:\n  concurrency: ", get->concurrency, "--concurrency");
	add(yaml, "  rate: ", get->rate, "--rate");
	/* A list comes to its end: what waits for a host that is down has its record after a while.  So has a page
	 * that may not be seen, immediately. */
	add(yaml, "  breaker:\n    denied: 0%\n    give_up: ", get->give_up, "--give-up");
	add(yaml, "  retry:\n    attempts: ", get->attempts, "--attempts");
	add(yaml, "    throttled: ", get->throttled, "--throttled");
	/* Each URL has its record, whatever becomes of it: nothing to stop for. */
	buf_add_str(yaml, "stop_when: { dead: 0% }\n");
}

static void add_sink(struct buf *yaml, const struct get_options *get)
{
	bool is_stdout = !strcmp(get->output, "-");
	buf_add_str(yaml, is_stdout ? "sink:\n  stdout: {}\n" : "sink:\n");
	add(yaml, "  jsonl:\n    path: ", is_stdout ? NULL : get->output, "-o");
	add(yaml, "    on_start: ", is_stdout ? NULL : get->on_start, "--on-start");
	if (get->ordered)
		buf_add_str(yaml, "  order: source # --ordered\n");
}

static void write_pipeline(const struct get_options *get, struct buf *yaml)
{
	buf_addf(yaml, "name: %s\nbroker: %s\n", get->name, get->durable ? "sqlite" : "memory");
	add_source(yaml, get);
	add_step(yaml, get);
	add_flow(yaml, get);
	add_sink(yaml, get);
}

/* What is wrong with the pipeline is said of the option that the line comes from, instead of the key. */
static int refuse_option(const struct get_options *get, const struct buf *yaml, const struct weir_error *err)
{
	const char *line = yaml->data, *end, *option = NULL;
	for (int i = 1; i < err->line && line; i++)
		line = (line = strchr(line, '\n')) ? line + 1 : NULL;
	end = line && err->line ? strchr(line, '\n') : NULL;
	for (const char *p = end; p && p > line && !option; p--)
		if (*p == '#')
			option = p + 2;
	if (!option)
		return cmd_refuse(&usage, "%s", err->text);
	if (get->url && !strncmp(option, "URL", 3)) /* in the pipeline it is written in another way */
		return cmd_refuse(&usage, "URL is \"%s\", expected http:// or https://, a host and no blanks",
				  get->url);
	size_t key = strspn(err->text, "abcdefghijklmnopqrstuvwxyz_");
	const char *rest = err->text + key;
	bool has_key = key && (!strncmp(rest, ": ", 2) || !strncmp(rest, " is ", 4));
	return cmd_refuse(&usage, "%.*s%s%s", (int)(end - option), option, has_key ? "" : ": ",
			  has_key ? rest : err->text);
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
	int exit_code = code ? refuse_option(get, &yaml, &err) : EX_CONFIG;
	buf_fini(&yaml);
	if (code) {
		free(state);
		return exit_code;
	}
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
	bool is_stdout = !strcmp(get->output, "-");
	if (!get->input && !get->range)
		return get->url ? "-i FILE or --range is required (for one URL: echo URL | weir get -i -)"
				: "-i FILE or --range is required";
	if (get->input && get->range)
		return "-i and --range exclude each other";
	if (get->range && (!get->url || !strstr(get->url, "{}")))
		return "--range needs a URL with {} in it";
	if (get->input && get->url)
		return "-i FILE and a URL exclude each other; a URL needs --range";
	if (get->save && !strstr(get->save, "{}"))
		return "--save needs {} in the path, which is the number of the range or of the line in the list";
	if (is_stdout && get->on_start)
		return "--on-start needs -o FILE";
	if (is_stdout && get->session.state)
		return "--state needs -o FILE: only a file can be continued";
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
	{"follow", "N", "maximum redirects to follow for a URL; 0: none (default 5)", AT(follow)},
	{"max-body", "SIZE", "maximum size of an answer (default 10MiB); a longer one fails", AT(max_body)},
	{"save", "PATH",
	 "write each answer to a file instead of its record; {} in PATH is the number of the range, or of the line in "
	 "the list. The folder must exist, and files that do are not replaced, unless --on-start says so",
	 AT(save)},
	{"header", "'NAME: VALUE'",
	 "request header; may be repeated; ${env:NAME} stands for a variable of the environment", .set = set_header},
	{"proxy", "URL",
	 "proxy, http:// or socks5://[user:password@]host:port; or none (default env: HTTPS_PROXY, HTTP_PROXY, "
	 "NO_PROXY)",
	 AT(proxy)},
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
		 "bytes, attempts, error, body; with --save path, sha256 and content_type instead\n"
		 "of body.  URLs that fail have a record, too.  With -o the\n"
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
		.ca = "",
		.follow = "5",
		.max_body = "10MiB",
		.proxy = "env",
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
