/* SPDX-License-Identifier: MIT */
/*
 * A template is compiled into parts, each a literal or a hole, so that filling it in is a walk over two or three of
 * them.  One block of memory holds the struct, the parts, the text as written, and the texts of the parts.
 */
#include "port/template.h"

#include <stdlib.h>
#include <string.h>

struct part {
	const char *text; /* of a hole: its path */
	size_t len;
	bool hole;
};

struct template
{
	unsigned flags;
	char *text;
	struct part *parts;
	size_t n;
};

/* Most holes and literals that the text can have. */
static size_t count_parts(const char *text)
{
	size_t n = 1;
	for (; (text = strstr(text, "${")) != NULL; text += 2)
		n += 2;
	return n;
}

static int fail_hole(struct weir_error *err, const char *text, const char *at, const char *what)
{
	weir_error_set(err, WEIR_EINVAL,
		       "%s, expected a path such as ${.id} or ${.a.b[0]} (for a plain \"${\" write \"$${\")", what);
	if (err)
		err->column = (int)(at - text) + 1;
	return WEIR_EINVAL;
}

/* Copies the path of the hole at `at` ("${") to *out and moves behind it. */
static int read_hole(const char *text, const char **at, char **out, struct part *ret_part, struct weir_error *err)
{
	const char *path = *at + 2;
	size_t n = json_path_length(path);
	if (n == 0)
		return fail_hole(err, text, *at, *path == '}' ? "nothing between ${ and }" : "no path after ${");
	if (path[n] != '}')
		return fail_hole(err, text, path + n, path[n] ? "a path cannot go on like this" : "no } after ${");
	*ret_part = (struct part){*out, n, true};
	memcpy(*out, path, n);
	(*out)[n] = 0;
	*out += n + 1;
	*at = path + n + 1;
	return 0;
}

/* The same for the text up to the next hole. */
static void read_literal(const char **at, char **out, struct part *ret_part)
{
	const char *p = *at;
	char *begin = *out, *to = begin;
	for (;;) {
		if (strncmp(p, "$${", 3) == 0) {
			*to++ = '$';
			*to++ = '{';
			p += 3;
		} else if (*p == 0 || strncmp(p, "${", 2) == 0) {
			break;
		} else {
			*to++ = *p++;
		}
	}
	*to = 0;
	*ret_part = (struct part){begin, (size_t)(to - begin), false};
	*out = to + 1;
	*at = p;
}

static int read_parts(struct template *t, char *out, struct weir_error *err)
{
	for (const char *at = t->text; *at;) {
		struct part *part = &t->parts[t->n];
		int code = 0;
		if (strncmp(at, "${", 2) == 0)
			code = read_hole(t->text, &at, &out, part, err);
		else
			read_literal(&at, &out, part);
		if (code < 0)
			return code;
		t->n++;
	}
	return 0;
}

static int check_header(const struct template *t, struct weir_error *err)
{
	const char *bad = strpbrk(t->text, "\r\n");
	if (!bad)
		return 0;
	weir_error_set(err, WEIR_EINVAL, "a header may not hold a line break");
	if (err)
		err->column = (int)(bad - t->text) + 1;
	return WEIR_EINVAL;
}

int template_compile(const char *text, unsigned flags, struct template **ret_template, struct weir_error *err)
{
	size_t len = strlen(text), parts = count_parts(text) * sizeof(struct part);
	/* Each hole's path and each literal ends with a NUL; "${" and "}" leave room for both. */
	struct template *t = calloc(1, sizeof *t + parts + 2 * (len + 2));
	if (!t)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	t->flags = flags;
	t->parts = (struct part *)(t + 1);
	t->text = (char *)t->parts + parts;
	memcpy(t->text, text, len);
	int code = flags & TEMPLATE_HEADER ? check_header(t, err) : 0;
	if (code == 0)
		code = read_parts(t, t->text + len + 1, err);
	if (code < 0) {
		free(t);
		return code;
	}
	*ret_template = t;
	return 0;
}

void template_free(struct template *template)
{
	free(template);
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
	       c == '.' || c == '~';
}

static void add_percent(struct buf *out, const char *text, size_t n)
{
	static const char hex[] = "0123456789ABCDEF";
	char *to = n < SIZE_MAX / 4 ? buf_reserve(out, 3 * n) : NULL;
	if (!to) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		if (is_unreserved(text[i])) {
			*to++ = text[i];
			continue;
		}
		*to++ = '%';
		*to++ = hex[c >> 4];
		*to++ = hex[c & 15];
	}
	*to = 0;
	out->len = (size_t)(to - out->data);
}

/* A value that is no text, into a URL. */
static void add_percent_json(struct buf *out, const struct json *value)
{
	struct buf plain = {0};
	if (json_write(value, &plain) < 0)
		out->failed = true;
	else
		add_percent(out, plain.data, plain.len);
	buf_fini(&plain);
}

static int fill_hole(const struct template *t, const struct part *part, const struct json *item, struct buf *out,
		     struct weir_error *err)
{
	const struct json *value = json_at(item, part->text);
	if (!value || json_type(value) == JSON_NULL)
		return weir_error_set(err, WEIR_EDATA, "%s at %.200s", value ? "null" : "nothing", part->text);
	bool encode = (t->flags & TEMPLATE_URL) && t->n > 1;
	if (json_type(value) != JSON_TEXT) {
		encode = encode && json_type(value) != JSON_NUMBER_INT;
		encode ? add_percent_json(out, value) : (void)json_write(value, out);
		return 0;
	}
	size_t n;
	const char *text = json_text(value, &n);
	if ((t->flags & TEMPLATE_HEADER) && (memchr(text, '\r', n) || memchr(text, '\n', n) || memchr(text, 0, n)))
		return weir_error_set(err, WEIR_EDATA,
				      "the text at %.200s has a line break or a NUL, it cannot stand in a header",
				      part->text);
	encode ? add_percent(out, text, n) : (void)buf_add(out, text, n);
	return 0;
}

int template_render(const struct template *template, const struct json *item, struct buf *out, struct weir_error *err)
{
	size_t before = out->len;
	int code = buf_reserve(out, 0) ? 0 : WEIR_ENOMEM;
	for (size_t i = 0; i < template->n && code == 0; i++) {
		const struct part *part = &template->parts[i];
		if (part->hole)
			code = fill_hole(template, part, item, out, err);
		else
			code = buf_add(out, part->text, part->len);
	}
	if (code == 0 && !out->failed)
		return 0;
	out->len = before;
	if (out->data)
		out->data[before] = 0;
	return code < 0 && code != WEIR_ENOMEM ? code : weir_error_set(err, WEIR_ENOMEM, "out of memory");
}

bool template_is_constant(const struct template *template)
{
	for (size_t i = 0; i < template->n; i++)
		if (template->parts[i].hole)
			return false;
	return true;
}

bool template_starts_with_hole(const struct template *template)
{
	return template->n > 0 && template->parts[0].hole;
}

const char *template_text(const struct template *template)
{
	return template->text;
}
