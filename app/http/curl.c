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

static void add_flag(struct words *words, const char *option)
{
	begin(words, option);
	end(words);
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

/* Where the server has another name than its URL, the name is in the URL, as for libcurl. */
static void add_named_url(struct words *words, const struct http_request *request, const char *name)
{
	const struct http_origin *origin = request->origin;
	const char *rest = strstr(request->url, "://") + 3;
	struct buf url = {0};
	buf_addf(&url, "https://%s:%u%s", name, (unsigned)origin->port, rest + strcspn(rest, "/?#"));
	shell_add_word(&words->text, url.data ? url.data : "", url.len);
	end(words);
	buf_clear(&url);
	buf_addf(&url, strchr(origin->host, ':') ? "::[%s]:%u" : "::%s:%u", origin->host, (unsigned)origin->port);
	add_option(words, "--connect-to", url.data ? url.data : "", url.len);
	buf_fini(&url);
}

static void add_target(struct words *words, const struct http_step *step, const struct http_request *request,
		       bool has_body)
{
	const char *method = request->method, *url = request->url, *name = step->config->tls.server_name;
	begin(words, "curl ");
	if (!strcmp(method, "HEAD"))
		buf_add_str(&words->text, "-I ");
	else if (!is_usual(method, has_body))
		buf_addf(&words->text, "-X %s ", method);
	if (strpbrk(url, "[]{}"))
		buf_add_str(&words->text, "-g ");
	if (strstr(url, "/."))
		buf_add_str(&words->text, "--path-as-is ");
	if (name && !request->is_foreign)
		return add_named_url(words, request, name);
	shell_add_word(&words->text, url, strlen(url));
	end(words);
}

static void add_text(struct words *words, const char *option, const char *value)
{
	if (value)
		add_option(words, option, value, strlen(value));
}

static void add_connection(struct words *words, const struct step_http_config *config, bool is_foreign)
{
	bool is_direct = config->proxy && !strcmp(config->proxy, "none");
	add_text(words, "--proxy", step_http_proxy(config));
	add_text(words, "--noproxy", is_direct ? "*" : NULL);
	add_text(words, "--cacert", config->tls.ca_file);
	if (is_foreign)
		return;
	add_text(words, "--cert", config->tls.cert_file);
	add_text(words, "--key", config->tls.key_file);
	add_text(words, "--pass", config->tls.key_password);
}

static bool is_header(const char *line, const char *name)
{
	size_t n = strlen(name);
	return !strncasecmp(line, name, n) && (line[n] == ':' || line[n] == ';');
}

/* Whether another option stands for it: the body is shown as it is before it is compressed. */
static bool is_said_otherwise(const struct step_http_config *config, const char *line)
{
	return (config->basic && is_header(line, "authorization")) ||
	       (config->multipart.n && is_header(line, "content-type")) ||
	       (config->compress_body && is_header(line, "content-encoding")) ||
	       (!step_http_header(config, "accept-encoding") && is_header(line, "accept-encoding"));
}

/* Returns whether a User-Agent was among them. */
static bool add_headers(struct words *words, const struct http_step *step, const struct http_request *request,
			char *const *lines, size_t n)
{
	bool names_agent = false;
	for (size_t i = 0; i < n; i++) {
		if (!http_header_may_go(lines[i], request->is_foreign, request->is_emptied))
			continue;
		names_agent = names_agent || is_header(lines[i], "user-agent");
		if (!is_said_otherwise(step->config, lines[i]))
			add_text(words, "-H", lines[i]);
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

static void add_parts(struct words *words, const struct http_multipart *parts)
{
	const struct buf *fields = http_multipart_fields(parts);
	for (size_t at = 0; at < fields->len; at += strlen(fields->data + at) + 1)
		add_text(words, "-F", fields->data + at);
}

static void join(const struct words *words, struct buf *out)
{
	const char *word = words->text.data;
	const char *between = words->text.len <= WIDTH ? " " : " \\\n  ";
	for (size_t i = 0; i < words->n; i++, word += strlen(word) + 1)
		buf_addf(out, "%s%s", i ? between : "", word);
}

void step_http_add_curl(const struct http_step *step, const struct exchange *x, struct buf *out)
{
	const struct step_http_config *config = step->config;
	const struct http_request *request = &x->request;
	const char *method = request->method;
	struct words words = {0};
	/* libcurl sends a body with these, be it empty. */
	bool has_body = request->body || request->source || !strcmp(method, "POST") || !strcmp(method, "PUT") ||
			!strcmp(method, "PATCH");
	add_target(&words, step, request, has_body);
	add_connection(&words, config, request->is_foreign);
	if (!request->is_foreign)
		add_text(&words, "-u", config->basic);
	bool names_agent = add_headers(&words, step, request, x->lines, x->line_count);
	names_agent = add_headers(&words, step, request, step->lines, step->line_count) || names_agent;
	if (!names_agent)
		add_option(&words, "-A", "weir", 4);
	if (config->compress == STEP_HTTP_COMPRESSED)
		add_flag(&words, "--compressed");
	if (request->source)
		add_parts(&words, x->parts);
	else if (has_body)
		add_body(&words, &x->body);
	if (words.text.failed)
		out->failed = true;
	else
		join(&words, out);
	buf_fini(&words.text);
}
