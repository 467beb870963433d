/* SPDX-License-Identifier: MIT */
/*
 * A request as a command line of curl that sends the same: with what libcurl is told here and would not do by itself.
 *
 *     curl -X PUT http://127.0.0.1:8080/orders/1 \
 *       -A weir \
 *       -H 'Content-Type: application/json' \
 *       --data-raw '{"id":1}'
 */
#include "http/exchange.h"

#include <string.h>
#include <strings.h>

#include "data/shell.h"

enum { WIDTH = 72 };

/* The options, "-H 'Name: value'" each. */
struct words {
	struct buf text; /* of all, a NUL behind each */
	size_t n;
};

static void begin(struct words *words, const char *option)
{
	buf_add_str(&words->text, option);
}

static void end(struct words *words)
{
	buf_add_char(&words->text, 0);
	words->n++;
}

static void add_option(struct words *words, const char *option, const char *value, size_t n)
{
	begin(words, option);
	buf_add_char(&words->text, ' ');
	shell_add_word(&words->text, value, n);
	end(words);
}

/* Whether curl uses the method without being told: POST if there is a body. */
static bool is_usual(const char *method, bool has_body)
{
	return !strcmp(method, has_body ? "POST" : "GET");
}

static void add_target(struct words *words, const struct exchange *x, const char *method, bool has_body)
{
	begin(words, "curl ");
	if (!strcmp(method, "HEAD"))
		buf_add_str(&words->text, "-I ");
	else if (!is_usual(method, has_body))
		buf_addf(&words->text, "-X %s ", method);
	if (strpbrk(x->url.data, "[]{}"))
		buf_add_str(&words->text, "-g ");
	if (strstr(x->url.data, "/."))
		buf_add_str(&words->text, "--path-as-is ");
	shell_add_word(&words->text, x->url.data, x->url.len);
	end(words);
}

static bool is_header(const char *line, const char *name)
{
	size_t n = strlen(name);
	return !strncasecmp(line, name, n) && (line[n] == ':' || line[n] == ';');
}

/* Returns whether a User-Agent was among them. */
static bool add_headers(struct words *words, const struct http_step *step, char *const *lines, size_t n)
{
	bool names_agent = false;
	for (size_t i = 0; i < n; i++) {
		names_agent = names_agent || is_header(lines[i], "user-agent");
		if (!step->config->basic || !is_header(lines[i], "authorization"))
			add_option(words, "-H", lines[i], strlen(lines[i]));
	}
	return names_agent;
}

static void add_body(struct words *words, const struct buf *body)
{
	bool fits = body->len <= EVIDENCE_TEXT_BYTES && (!body->len || !memchr(body->data, 0, body->len));
	if (fits)
		add_option(words, "--data-raw", body->data ? body->data : "", body->len);
	else
		add_option(words, "--data-binary", "@-", 2);
}

static void join(const struct words *words, struct buf *out)
{
	const char *word = words->text.data;
	const char *between = words->text.len <= WIDTH ? " " : " \\\n  ";
	for (size_t i = 0; i < words->n; i++, word += strlen(word) + 1)
		buf_addf(out, "%s%s", i ? between : "", word);
}

void step_http_add_curl(const struct http_step *step, const struct exchange *x, const char *method, struct buf *out)
{
	const struct step_http_config *config = step->config;
	struct words words = {0};
	/* libcurl sends a body with these, be it empty. */
	bool has_body =
		step_http_body(config) || !strcmp(method, "POST") || !strcmp(method, "PUT") || !strcmp(method, "PATCH");
	add_target(&words, x, method, has_body);
	if (config->tls_ca)
		add_option(&words, "--cacert", config->tls_ca, strlen(config->tls_ca));
	if (config->basic)
		add_option(&words, "-u", config->basic, strlen(config->basic));
	bool names_agent = add_headers(&words, step, x->lines, x->line_count);
	names_agent = add_headers(&words, step, step->lines, step->line_count) || names_agent;
	if (!names_agent)
		add_option(&words, "-A", "weir", 4);
	if (has_body)
		add_body(&words, &x->body);
	if (words.text.failed)
		out->failed = true;
	else
		join(&words, out);
	buf_fini(&words.text);
}
