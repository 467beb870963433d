/* SPDX-License-Identifier: MIT */
/*
 * A template is compiled into parts, each a literal or a hole, so that filling it in is a walk over two or three of
 * them.  One block of memory holds the struct, the parts, the text as written, and the texts of the parts.
 */
#include "data/template.h"

#include <stdlib.h>
#include <string.h>

struct part {
	const char *text; /* of a hole: its path */
	size_t len;
	bool hole;
	bool meta;   /* of a hole: its path is one of what is known of the item */
	bool raw;    /* of a hole: in a URL it is not percent-encoded */
	bool quoted; /* of a hole: it stands in a string, if the template is JSON */
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

/* Whether `path` begins with the name of something that is known of an item. */
static bool is_meta(const char *path)
{
	static const char *const names[] = TEMPLATE_META_NAMES;
	size_t n = strcspn(path + 1, ".[}");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i]) == n && memcmp(path + 1, names[i], n) == 0)
			return true;
	return false;
}

#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"

/* ${id} and ${TOKEN}, as other languages have them. */
static int fail_name(struct weir_error *err, const char *text, const char *at)
{
	const char *name = at + 2;
	size_t n = strspn(name, UPPER LOWER);
	if (!n || name[n] != '}')
		return fail_hole(err, text, at, *name == '}' ? "nothing between ${ and }" : "no path after ${");
	weir_error_set(
		err, WEIR_EINVAL,
		"${%.*s} is not a path into the item; did you mean ${%s%.*s}? (for a plain \"${\" write \"$${\")",
		(int)n, name, strspn(name, UPPER) >= n ? "env:" : ".", (int)n, name);
	if (err)
		err->column = (int)(at - text) + 1;
	return WEIR_EINVAL;
}

/* Copies the path of the hole at `at` ("${") to *out and moves behind it. */
static int read_hole(const struct template *t, const char **at, char **out, struct part *ret_part,
		     struct weir_error *err)
{
	const char *path = *at + 2;
	bool raw = strncmp(path, "raw:", 4) == 0;
	path += raw ? 4 : 0;
	bool meta = strncmp(path, "meta.", 5) == 0;
	path += meta ? 4 : 0;
	size_t n = json_path_length(path);
	if (raw && !(t->flags & (TEMPLATE_URL | TEMPLATE_PATH)))
		return fail_hole(err, t->text, *at, "raw: stands in URLs and paths of files alone");
	if (n == 0)
		return meta || raw ? fail_hole(err, t->text, *at, "no path after ${") : fail_name(err, t->text, *at);
	if (path[n] != '}')
		return fail_hole(err, t->text, path + n,
				 path[n] ? "unexpected character in the path" : "no } after ${");
	if (meta && !is_meta(path))
		return fail_hole(err, t->text, path + 1, "meta has no such field");
	*ret_part = (struct part){.text = *out, .len = n, .hole = true, .meta = meta, .raw = raw};
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
	*ret_part = (struct part){.text = begin, .len = (size_t)(to - begin)};
	*out = to + 1;
	*at = p;
}

/* Whether what follows a literal stands in a string, if the template is JSON; `quoted` is whether the literal does. */
static bool ends_quoted(const struct part *literal, bool quoted)
{
	for (size_t i = 0; i < literal->len; i++) {
		if (literal->text[i] == '"')
			quoted = !quoted;
		else if (quoted && literal->text[i] == '\\')
			i++;
	}
	return quoted;
}

static int read_parts(struct template *t, char *out, struct weir_error *err)
{
	bool quoted = false;
	for (const char *at = t->text; *at;) {
		struct part *part = &t->parts[t->n];
		int code = 0;
		if (strncmp(at, "${", 2) == 0)
			code = read_hole(t, &at, &out, part, err);
		else
			read_literal(&at, &out, part);
		if (code < 0)
			return code;
		if (!part->hole)
			quoted = ends_quoted(part, quoted);
		part->quoted = quoted;
		t->n++;
	}
	return 0;
}

static int check_header(const struct template *t, struct weir_error *err)
{
	const char *bad = strpbrk(t->text, "\r\n");
	if (!bad)
		return 0;
	weir_error_set(err, WEIR_EINVAL, "a header must not contain a line break");
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

/* ---- percent-encoding */

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

/* ---- paths of URLs and files */

/* Where the path of what is being rendered has got to. */
struct path {
	bool is_file;     /* all of it is one */
	size_t start;     /* in `out`: of the part that is being written */
	unsigned slashes; /* until now; the path begins behind the third */
	bool filled;      /* a hole is in that part */
	bool raw;         /* one that is not encoded: it may leave the part empty */
	bool ended;       /* by '?' or '#' */
};

/* "." or "..", as servers read it, too. */
static bool is_dots(const char *text, size_t n, bool is_file)
{
	size_t dots = 0, i = 0;
	while (i < n && dots < 3) {
		bool encoded =
			!is_file && n - i >= 3 && text[i] == '%' && text[i + 1] == '2' && (text[i + 2] | 0x20) == 'e';
		if (!encoded && text[i] != '.')
			return false;
		i += encoded ? 3 : 1;
		dots++;
	}
	return dots == 1 || dots == 2;
}

/* A part of the path ends at `end`. */
static int check_part(const struct path *path, const struct buf *out, size_t end, struct weir_error *err)
{
	size_t n = end - path->start;
	const char *what = path->is_file ? "the path of a file" : "a URL path";
	if (!path->filled || (path->slashes < 3 && !path->is_file))
		return 0;
	if (!n && path->raw && !path->is_file)
		return 0;
	if (!n)
		return weir_error_set(err, WEIR_EDATA, "an empty value cannot be a part of %s", what);
	if (is_dots(out->data + path->start, n, path->is_file))
		return weir_error_set(err, WEIR_EDATA, "'%.*s' cannot be a part of %s", (int)n, out->data + path->start,
				      what);
	return 0;
}

/* Goes on to the end of what was rendered, of which the last part of the template begins at `from`. */
static int follow_path(struct path *path, const struct part *part, const struct buf *out, size_t from,
		       struct weir_error *err)
{
	int code = 0;
	path->filled = path->filled || part->hole;
	path->raw = path->raw || part->raw;
	for (size_t i = from; (!part->hole || part->raw) && !path->ended && !code && i < out->len; i++) {
		char c = out->data[i];
		path->ended = !path->is_file && (c == '?' || c == '#');
		if (c != '/' && !path->ended)
			continue;
		code = check_part(path, out, i, err);
		path->slashes++;
		path->start = i + 1;
		path->filled = path->raw = part->raw;
	}
	return code;
}

/* ---- filling */

/* A value that is no text, into a URL or into a JSON string. */
static void add_json(struct buf *out, const struct json *value, bool percent)
{
	struct buf plain = {0};
	if (json_write(value, &plain) < 0)
		out->failed = true;
	else if (percent)
		add_percent(out, plain.data, plain.len);
	else
		buf_add_json_text(out, plain.data, plain.len);
	buf_fini(&plain);
}

/* The value that fills a hole, or NULL and the error is set. */
static const struct json *find_value(const struct part *part, const struct template_input *input, bool null_is_one,
				     struct weir_error *err)
{
	const struct json *in = part->meta ? input->meta : input->item, *value = in ? json_at(in, part->text) : NULL;
	if (value && (null_is_one || json_type(value) != JSON_NULL))
		return value;
	weir_error_set(err, WEIR_EDATA, "%s at %s%.200s", value ? "null" : "nothing", part->meta ? "meta" : "",
		       part->text);
	return NULL;
}

static int fill_json(const struct part *part, const struct template_input *input, struct buf *out,
		     struct weir_error *err)
{
	const struct json *value = find_value(part, input, !part->quoted, err);
	size_t n;
	if (!value)
		return WEIR_EDATA;
	if (!part->quoted) {
		json_write(value, out);
	} else if (json_type(value) == JSON_TEXT) {
		const char *text = json_text(value, &n);
		buf_add_json_text(out, text, n);
	} else {
		add_json(out, value, false);
	}
	return 0;
}

/* What a hole has put into the path of a file, from `from` on.  Behind the folder "/" a path may be absolute. */
static int check_file_part(const struct part *part, struct buf *out, size_t from, struct weir_error *err)
{
	size_t n = out->len - from;
	if (n && memchr(out->data + from, 0, n))
		return weir_error_set(err, WEIR_EDATA,
				      "the value at %.200s has a NUL character, which no path can have", part->text);
	if (n && !part->raw && memchr(out->data + from, '/', n))
		return weir_error_set(err, WEIR_EDATA,
				      "the value at %.100s has a \"/\", and is to be one part of a path (several: "
				      "${raw:%.100s})",
				      part->text, part->text);
	if (n && part->raw && from == 1 && out->data[0] == '/' && out->data[1] == '/') {
		memmove(out->data + 1, out->data + 2, n); /* its NUL, too */
		out->len--;
	}
	return 0;
}

static int fill_hole(const struct template *t, const struct part *part, const struct template_input *input,
		     struct buf *out, struct weir_error *err)
{
	const struct json *value = find_value(part, input, false, err);
	if (!value)
		return WEIR_EDATA;
	bool encode = (t->flags & TEMPLATE_URL) && t->n > 1 && !part->raw;
	if (json_type(value) != JSON_TEXT) {
		encode = encode && json_type(value) != JSON_NUMBER_INT;
		encode ? add_json(out, value, true) : (void)json_write(value, out);
		return 0;
	}
	size_t n;
	const char *text = json_text(value, &n);
	if ((t->flags & TEMPLATE_HEADER) && (memchr(text, '\r', n) || memchr(text, '\n', n) || memchr(text, 0, n)))
		return weir_error_set(
			err, WEIR_EDATA,
			"the value at %.200s has a line break or a NUL character, which a header must not contain",
			part->text);
	encode ? add_percent(out, text, n) : (void)buf_add(out, text, n);
	return 0;
}

/* json: the template is the text of a JSON document. */
static int render(const struct template *template, bool json, const struct template_input *input, struct buf *out,
		  struct weir_error *err)
{
	size_t before = out->len;
	bool is_file = template->flags & TEMPLATE_PATH;
	struct path path = {.is_file = is_file, .start = before};
	bool is_path = is_file || ((template->flags & TEMPLATE_URL) && template->n > 1);
	int code = buf_reserve(out, 0) ? 0 : WEIR_ENOMEM;
	for (size_t i = 0; i < template->n && code == 0; i++) {
		const struct part *part = &template->parts[i];
		size_t from = out->len;
		if (!part->hole)
			code = buf_add(out, part->text, part->len);
		else
			code = json ? fill_json(part, input, out, err) : fill_hole(template, part, input, out, err);
		if (code == 0 && is_file && part->hole)
			code = check_file_part(part, out, from, err);
		if (code == 0 && is_path)
			code = follow_path(&path, part, out, from, err);
	}
	if (code == 0 && is_path && !path.ended)
		code = check_part(&path, out, out->len, err);
	if (code == 0 && !out->failed)
		return 0;
	out->len = before;
	if (out->data)
		out->data[before] = 0;
	return code < 0 && code != WEIR_ENOMEM ? code : weir_error_set(err, WEIR_ENOMEM, "out of memory");
}

int template_render(const struct template *template, const struct template_input *input, struct buf *out,
		    struct weir_error *err)
{
	return render(template, false, input, out, err);
}

int template_render_json(const struct template *template, const struct template_input *input, struct buf *out,
			 struct weir_error *err)
{
	return render(template, true, input, out, err);
}

int template_sample_json(const struct template *template, struct buf *out)
{
	for (size_t i = 0; i < template->n; i++) {
		const struct part *part = &template->parts[i];
		if (part->hole)
			buf_addf(out, part->quoted ? "x%zu" : "\"x%zu\"", i); /* names of fields differ */
		else
			buf_add(out, part->text, part->len);
	}
	return out->failed ? WEIR_ENOMEM : 0;
}

bool template_is_constant(const struct template *template)
{
	for (size_t i = 0; i < template->n; i++)
		if (template->parts[i].hole)
			return false;
	return true;
}

bool template_has_meta(const struct template *template)
{
	for (size_t i = 0; i < template->n; i++)
		if (template->parts[i].meta)
			return true;
	return false;
}

bool template_starts_with_hole(const struct template *template)
{
	return template->n > 0 && template->parts[0].hole;
}

const char *template_text(const struct template *template)
{
	return template->text;
}

const char *template_beginning(const struct template *template)
{
	return template->n && !template->parts[0].hole ? template->parts[0].text : "";
}
