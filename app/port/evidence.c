/* SPDX-License-Identifier: MIT */
#include "port/evidence.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "data/buf.h"
#include "data/json.h"
#include "data/json_writer.h"
#include "data/secret.h"
#include "data/utf8.h"

#define JSON_BYTES_MAX ((size_t)1 << 20) /* of an answer that is read as JSON */

static void add_hidden(struct buf *out, const char *name, const char *text, size_t n)
{
	struct buf copy = {0};
	if (buf_add(&copy, text, n)) {
		out->failed = true;
	} else {
		json_put_bytes(out, name, copy.data, secret_hide(copy.data, n));
	}
	buf_fini(&copy);
}

void evidence_add_text(struct buf *out, const char *name, const char *text, size_t n)
{
	size_t kept = utf8_cut(text, n, EVIDENCE_TEXT_BYTES);
	add_hidden(out, name, text, kept);
	if (kept < n) {
		char bytes[40];
		snprintf(bytes, sizeof bytes, "%s_bytes", name);
		json_put_uint(out, bytes, n);
	}
}

/* ---- what an answer says is wrong */

static const char *text_at(const struct json *json, const char *path, size_t *ret_n)
{
	const struct json *found = json_at(json, path);
	if (!found || json_type(found) != JSON_TEXT)
		return NULL;
	const char *text = json_text(found, ret_n);
	return *ret_n ? text : NULL;
}

/* Borrowed from json. */
static const char *find_in_json(const struct json *json, size_t *ret_n)
{
	static const char *const paths[] = {".error.message", ".error",  ".message", ".errors[0].message",
					    ".errors[0]",     ".detail", ".title",   "."};
	const char *found = NULL;
	for (size_t i = 0; i < sizeof paths / sizeof paths[0] && !found; i++)
		found = text_at(json, paths[i], ret_n);
	return found;
}

static const char *find_tag(const char *text, const char *end, const char *tag)
{
	size_t n = strlen(tag);
	for (; (size_t)(end - text) >= n; text++)
		if (strncasecmp(text, tag, n) == 0)
			return text;
	return NULL;
}

/* From *text to *end, without white space around it: false if nothing is left. */
static bool trim(const char **text, const char **end)
{
	while (*text < *end && strchr(" \t\r\n", **text))
		++*text;
	while (*end > *text && strchr(" \t\r\n", (*end)[-1]))
		--*end;
	return *text < *end;
}

static const char *find_title(const char *text, const char *end, size_t *ret_n)
{
	const char *from = find_tag(text, end, "<title"), *to = from ? find_tag(from, end, "</title") : NULL;
	const char *open = to ? memchr(from, '>', (size_t)(to - from)) : NULL;
	from = open ? open + 1 : to;
	if (!from || !trim(&from, &to))
		return NULL;
	*ret_n = (size_t)(to - from);
	return from;
}

static const char *find_in_text(const char *body, size_t n, size_t *ret_n)
{
	const char *end = body + n;
	if (!trim(&body, &end))
		return NULL;
	if (*body == '<')
		return find_title(body, end, ret_n);
	const char *newline = memchr(body, '\n', (size_t)(end - body));
	end = newline ? newline : end;
	if (!trim(&body, &end) || *body == '{' || *body == '[' || !json_utf8_valid(body, (size_t)(end - body)))
		return NULL;
	*ret_n = (size_t)(end - body);
	return body;
}

size_t evidence_find_error(const char *body, size_t n, char ret_line[EVIDENCE_ERROR_BYTES])
{
	struct json *json = NULL;
	size_t found_n = 0, mark = n >= 3 && !memcmp(body, "\xef\xbb\xbf", 3) ? 3 : 0; /* of the byte order */
	const char *found = NULL;
	body += mark;
	n -= mark;
	if (n && n <= JSON_BYTES_MAX && json_parse(body, n, &json, NULL) == 0)
		found = find_in_json(json, &found_n);
	else if (n)
		found = find_in_text(body, n, &found_n);
	size_t kept = found ? utf8_cut(found, found_n, EVIDENCE_ERROR_BYTES - 1) : 0;
	for (size_t i = 0; i < kept; i++)
		ret_line[i] = (unsigned char)found[i] < 0x20 ? ' ' : found[i];
	ret_line[kept] = 0;
	json_free(json);
	return kept;
}

void evidence_add_error(struct buf *out, const char *body, size_t n)
{
	char line[EVIDENCE_ERROR_BYTES];
	size_t found = evidence_find_error(body, n, line);
	if (found)
		add_hidden(out, "error", line, found);
}
