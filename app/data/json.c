/* SPDX-License-Identifier: MIT */
/*
 * A parser of our own, because each item, each answer and each output passes through it: one pass, no recursion (items
 * are parsed on stacks of 64 KiB), two allocations, and numbers are never touched.
 * json_tape.h shows what it makes.  While a container is open its span holds the index of the one around it.
 */
#include "data/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/json_tape.h"
#include "data/utf8.h"

enum { DEPTH_MAX = 512 };
#define NO_NODE UINT32_MAX

struct parser {
	struct doc *doc;
	char *p, *end;
	char *out; /* where the arena goes on */
	uint32_t n, room;
	uint32_t open; /* the innermost open container */
	unsigned depth;
	struct weir_error *err;
};

static struct doc *doc_of(const struct json *root)
{
	return (struct doc *)((char *)(uintptr_t)root - offsetof(struct doc, nodes));
}

static void describe_byte(const struct parser *p, const char *at, char found[16])
{
	unsigned char c = (unsigned char)*at;
	if (at >= p->end)
		snprintf(found, 16, "the end");
	else if (c < 0x20 || c >= 0x7F)
		snprintf(found, 16, "byte 0x%02x", c);
	else
		snprintf(found, 16, "'%c'", c);
}

/* "what" goes before what was found at `at`. */
static int fail_at(struct parser *p, const char *at, const char *what, bool say_found)
{
	char found[16] = "";
	if (!p->err)
		return WEIR_EDATA;
	if (say_found)
		describe_byte(p, at, found);
	weir_error_set(p->err, WEIR_EDATA, "%s%s", what, found);
	p->err->line = 1;
	const char *start = p->doc->text;
	for (const char *nl; (nl = memchr(start, '\n', (size_t)(at - start))) != NULL; start = nl + 1)
		p->err->line++;
	p->err->column = (int)(at - start) + 1;
	return WEIR_EDATA;
}

static int fail_expected(struct parser *p, const char *what)
{
	return fail_at(p, p->p, what, true);
}

static struct json *add_node(struct parser *p, enum json_type type, const char *at, size_t size)
{
	if (p->n == p->room) {
		uint32_t room = p->room * 2;
		struct doc *doc = realloc(p->doc, sizeof *doc + room * sizeof(struct json));
		if (!doc)
			return NULL;
		p->doc = doc;
		p->room = room;
	}
	struct json *node = &p->doc->nodes[p->n++];
	*node = (struct json){.at = at, .size = (uint32_t)size, .type = (uint8_t)type};
	return node;
}

static void skip_space(struct parser *p)
{
	while (*p->p == ' ' || *p->p == '\n' || *p->p == '\r' || *p->p == '\t')
		p->p++;
}

/* The first byte from s on that ends a string, begins an escape or may not stand in one. */
static char *skip_plain(char *s, const char *end)
{
	while (s < end) {
		while (end - s >= 8 && utf8_word_is_plain(utf8_word(s)))
			s += 8;
		unsigned char c = (unsigned char)*s;
		if (s == end || c < 0x20 || c == '"' || c == '\\')
			break;
		size_t step = utf8_length(s, (size_t)(end - s));
		if (!step)
			break;
		s += step;
	}
	return s;
}

static int fail_string(struct parser *p, const char *at)
{
	if (at >= p->end)
		return fail_at(p, at, "unterminated string", false);
	if ((unsigned char)*at >= 0x80)
		return fail_at(p, at, "invalid UTF-8: ", true);
	return fail_at(p, at, "a string must not contain ", true);
}

/* Four hex digits, or -1. */
static int32_t read_hex(const char *s)
{
	int32_t value = 0;
	for (int i = 0; i < 4; i++) {
		char c = s[i];
		if (c >= '0' && c <= '9')
			value = value * 16 + c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value = value * 16 + (c | 0x20) - 'a' + 10;
		else
			return -1;
	}
	return value;
}

static char *put_utf8(char *out, int32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xC0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3F));
	} else if (c < 0x10000) {
		*out++ = (char)(0xE0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3F));
		*out++ = (char)(0x80 | (c & 0x3F));
	} else {
		*out++ = (char)(0xF0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3F));
		*out++ = (char)(0x80 | (c >> 6 & 0x3F));
		*out++ = (char)(0x80 | (c & 0x3F));
	}
	return out;
}

/* Decodes the escape at s (a backslash) to p->out: what follows it, or NULL if it is none.  Reading ahead is safe: the
 * NUL after the text ends every look. */
static char *read_escape(struct parser *p, char *s)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	if (s[1] != 'u') {
		const char *at = s[1] ? strchr(from, s[1]) : NULL;
		if (!at)
			return NULL;
		*p->out++ = to[at - from];
		return s + 2;
	}
	int32_t c = read_hex(s + 2);
	s += 6;
	if (c >= 0xD800 && c <= 0xDBFF) {
		int32_t low = s[0] == '\\' && s[1] == 'u' ? read_hex(s + 2) : -1;
		if (low < 0xDC00 || low > 0xDFFF)
			return NULL;
		c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
		s += 6;
	} else if (c < 0 || (c >= 0xDC00 && c <= 0xDFFF)) {
		return NULL;
	}
	p->out = put_utf8(p->out, c);
	return s;
}

/* The rest of a string from its first escape on.  What is decoded is shorter than its source, by the NUL at least. */
static int read_escaped(struct parser *p, const char *begin, char *s)
{
	if (!p->out && !(p->out = p->doc->decoded = malloc((size_t)(p->end - begin) + 1)))
		return WEIR_ENOMEM;
	const char *content = p->out;
	for (;;) {
		memcpy(p->out, begin, (size_t)(s - begin));
		p->out += s - begin;
		if (*s == '"')
			break;
		if (*s != '\\')
			return fail_string(p, s);
		begin = read_escape(p, s);
		if (!begin)
			return fail_at(p, s, "not an escape or a lone surrogate: ", true);
		s = skip_plain((char *)(uintptr_t)begin, p->end);
	}
	size_t size = (size_t)(p->out - content);
	*p->out++ = 0;
	*s = 0;
	p->p = s + 1;
	return add_node(p, JSON_TEXT, content, size) ? 0 : WEIR_ENOMEM;
}

static int read_string(struct parser *p)
{
	char *begin = p->p + 1, *s = skip_plain(begin, p->end);
	if (*s == '\\')
		return read_escaped(p, begin, s);
	if (*s != '"')
		return fail_string(p, s);
	*s = 0;
	p->p = s + 1;
	return add_node(p, JSON_TEXT, begin, (size_t)(s - begin)) ? 0 : WEIR_ENOMEM;
}

static int read_key(struct parser *p)
{
	skip_space(p);
	if (*p->p != '"')
		return fail_expected(p, "expected a key in double quotes, found ");
	int code = read_string(p);
	if (code < 0)
		return code;
	skip_space(p);
	if (*p->p != ':')
		return fail_expected(p, "expected ':' after the key, found ");
	p->p++;
	return 0;
}

static bool skip_digits(struct parser *p)
{
	const char *begin = p->p;
	while (*p->p >= '0' && *p->p <= '9')
		p->p++;
	return p->p > begin;
}

static int read_number(struct parser *p)
{
	const char *begin = p->p;
	enum json_type type = JSON_NUMBER_INT;
	if (*p->p == '-')
		p->p++;
	if (*p->p == '0')
		p->p++;
	else if (!skip_digits(p))
		return fail_expected(p, "expected a digit, found ");
	if (*p->p == '.') {
		type = JSON_NUMBER_REAL;
		p->p++;
		if (!skip_digits(p))
			return fail_expected(p, "expected a digit, found ");
	}
	if (*p->p == 'e' || *p->p == 'E') {
		type = JSON_NUMBER_REAL;
		p->p++;
		if (*p->p == '+' || *p->p == '-')
			p->p++;
		if (!skip_digits(p))
			return fail_expected(p, "expected a digit, found ");
	}
	return add_node(p, type, begin, (size_t)(p->p - begin)) ? 0 : WEIR_ENOMEM;
}

static int read_literal(struct parser *p)
{
	static const struct {
		const char *text;
		size_t n;
		enum json_type type;
	} literals[] = {{"true", 4, JSON_BOOL}, {"false", 5, JSON_BOOL}, {"null", 4, JSON_NULL}};
	for (size_t i = 0; i < 3; i++) {
		if (strncmp(p->p, literals[i].text, literals[i].n) != 0)
			continue;
		p->p += literals[i].n;
		return add_node(p, literals[i].type, p->p - literals[i].n, literals[i].n) ? 0 : WEIR_ENOMEM;
	}
	return fail_expected(p, "expected a value, found ");
}

static int open_container(struct parser *p, enum json_type type)
{
	if (++p->depth > DEPTH_MAX)
		return fail_at(p, p->p, "nested deeper than 512 levels", false);
	uint32_t index = p->n;
	if (!add_node(p, type, p->p, p->open))
		return WEIR_ENOMEM;
	p->open = index;
	p->p++;
	return 0;
}

static int close_container(struct parser *p)
{
	struct json *node = &p->doc->nodes[p->open];
	uint32_t around = node->size;
	node->size = p->n - p->open;
	int code = node->type == JSON_OBJECT ? json_drop_twins(node) : 0;
	p->doc->changed = p->doc->changed || code > 0;
	p->n = p->open + node->size;
	p->open = around;
	p->depth--;
	p->p++;
	return code < 0 ? code : 0;
}

/* One scalar, or the opening of a container.  1: a container was opened and is not empty. */
static int read_value(struct parser *p)
{
	skip_space(p);
	char c = *p->p;
	if (c == '"')
		return read_string(p);
	if (c == '-' || (c >= '0' && c <= '9'))
		return read_number(p);
	if (c != '{' && c != '[')
		return read_literal(p);
	int code = open_container(p, c == '{' ? JSON_OBJECT : JSON_ARRAY);
	if (code < 0)
		return code;
	skip_space(p);
	if (*p->p == (c == '{' ? '}' : ']'))
		return close_container(p);
	code = c == '{' ? read_key(p) : 0;
	return code < 0 ? code : 1;
}

/* What stands after a value: the ends of containers.  1: another value follows. */
static int read_ends(struct parser *p)
{
	while (p->open != NO_NODE) {
		bool object = p->doc->nodes[p->open].type == JSON_OBJECT;
		skip_space(p);
		if (*p->p == ',') {
			p->p++;
			int code = object ? read_key(p) : 0;
			return code < 0 ? code : 1;
		}
		if (*p->p != (object ? '}' : ']'))
			return fail_expected(p, object ? "expected ',' or '}', found " : "expected ',' or ']', found ");
		int code = close_container(p);
		if (code < 0)
			return code;
	}
	return 0;
}

static int read_document(struct parser *p)
{
	int more = 1;
	while (more) {
		more = read_value(p);
		if (more == 0)
			more = read_ends(p);
		if (more < 0)
			return more;
	}
	skip_space(p);
	return p->p == p->end ? 0 : fail_expected(p, "expected nothing after the value, found ");
}

int json_parse(const char *text, size_t n, struct json **ret_json, struct weir_error *err)
{
	if (n >= UINT32_MAX / 4)
		return weir_error_set(err, WEIR_EDATA, "larger than 1 GiB");
	uint32_t room = (uint32_t)(n / 8 + 8);
	struct parser p = {.room = room, .open = NO_NODE, .err = err};
	p.doc = malloc(sizeof *p.doc + room * sizeof(struct json));
	p.p = malloc(n + 1);
	if (!p.doc || !p.p) {
		free(p.doc);
		free(p.p);
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	}
	p.end = mempcpy(p.p, text, n);
	*p.end = '\0';
	*p.doc = (struct doc){.text = p.p};
	int code = read_document(&p);
	if (code < 0) {
		json_free(p.doc->nodes);
		return code == WEIR_ENOMEM ? weir_error_set(err, code, "out of memory") : code;
	}
	*ret_json = p.doc->nodes;
	return 0;
}

bool json_changed(const struct json *json)
{
	return doc_of(json)->changed;
}

void json_free(struct json *json)
{
	if (!json)
		return;
	struct doc *doc = doc_of(json);
	free(doc->text);
	free(doc->decoded);
	free(doc);
}
