/* SPDX-License-Identifier: MIT */
/*
 * What lies in a parsed value, at a path or one after the other, and how it is written out again.  A path is read anew
 * at each use: it is a few bytes long, and that costs no more than to follow a compiled form.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/buf.h"
#include "data/json_tape.h"
#include "data/utf8.h"

struct segment {
	const char *name; /* NULL: an index */
	size_t len, index;
};

static uint32_t span_of(const struct json *json)
{
	return json->type >= JSON_ARRAY ? json->size : 1;
}

enum json_type json_type(const struct json *json)
{
	return (enum json_type)json->type;
}

const struct json *json_next(const struct json *json, size_t *pos, const struct json **ret_name)
{
	size_t at = *pos ? *pos : 1;
	const struct json *name = NULL;
	if (json->type < JSON_ARRAY || at >= json->size)
		return NULL;
	if (json->type == JSON_OBJECT)
		name = json + at++;
	*pos = at + span_of(json + at);
	if (ret_name)
		*ret_name = name;
	return json + at;
}

static const struct json *member_of(const struct json *json, const char *name, size_t len)
{
	const struct json *key, *value;
	if (json->type != JSON_OBJECT)
		return NULL;
	for (size_t pos = 0; (value = json_next(json, &pos, &key)) != NULL;)
		if (key->size == len && memcmp(key->at, name, len) == 0)
			return value;
	return NULL;
}

const struct json *json_member(const struct json *json, const char *name)
{
	return member_of(json, name, strlen(name));
}

const char *json_member_text(const struct json *json, const char *name)
{
	const struct json *member = json_member(json, name);
	size_t n;
	return member && json_type(member) == JSON_TEXT ? json_text(member, &n) : "";
}

int64_t json_member_int(const struct json *json, const char *name)
{
	const struct json *member = json_member(json, name);
	return member && json_type(member) == JSON_NUMBER_INT ? json_int(member) : 0;
}

double json_member_real(const struct json *json, const char *name)
{
	const struct json *member = json_member(json, name);
	bool is_number = member && (json_type(member) == JSON_NUMBER_INT || json_type(member) == JSON_NUMBER_REAL);
	return is_number ? json_real(member) : (double)NAN;
}

int64_t json_int(const struct json *json)
{
	return strtoll(json->at, NULL, 10);
}

bool json_fits_int(const struct json *json)
{
	if (json->type != JSON_NUMBER_INT)
		return false;
	errno = 0;
	strtoll(json->at, NULL, 10);
	return errno == 0;
}

/* The digits of a number from the first that is no zero to the last: how many there are, 18 of them at most in digits;
 * and which power of ten the first one stands for. */
static size_t read_digits(const char *text, size_t n, char digits[18], long *ret_power)
{
	size_t seen = 0, count = 0, i = 0;
	bool behind_point = false;
	long power = -1;
	for (; i < n && text[i] != 'e' && text[i] != 'E'; i++) {
		bool is_leading = text[i] == '0' && !seen;
		if (text[i] == '.')
			behind_point = true;
		if (text[i] < '0' || text[i] > '9')
			continue;
		power += is_leading ? -behind_point : !behind_point;
		if (is_leading)
			continue;
		if (seen < 18)
			digits[seen] = text[i];
		seen++;
		if (text[i] != '0')
			count = seen;
	}
	long exponent = i < n ? strtol(text + i + 1, NULL, 10) : 0;
	*ret_power = power + (exponent > LONG_MAX / 2   ? LONG_MAX / 2
			      : exponent < LONG_MIN / 2 ? LONG_MIN / 2
							: exponent);
	return count;
}

bool json_number_fits_real(const char *text, size_t n)
{
	char digits[18], kept_digits[18], kept[40];
	long power, kept_power;
	double real = strtod(text, NULL);
	size_t count = read_digits(text, n, digits, &power);
	if (count > 17 || !isfinite(real))
		return false;
	if (count <= 15 && power > -300 && power < 300)
		return true;
	int bytes = snprintf(kept, sizeof kept, "%.*e", count ? (int)count - 1 : 0, real);
	size_t kept_count = read_digits(kept, (size_t)bytes, kept_digits, &kept_power);
	return kept_count == count && (!count || (kept_power == power && memcmp(digits, kept_digits, count) == 0));
}

bool json_fits_real(const struct json *json)
{
	bool is_number = json->type == JSON_NUMBER_INT || json->type == JSON_NUMBER_REAL;
	return is_number && json_number_fits_real(json->at, json->size);
}

double json_real(const struct json *json)
{
	return strtod(json->at, NULL);
}

bool json_bool(const struct json *json)
{
	return json->type == JSON_BOOL && json->at[0] == 't';
}

const char *json_text(const struct json *json, size_t *ret_len)
{
	if (ret_len)
		*ret_len = json->size;
	return json->at;
}

static bool is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("_-$@:", c)) || (unsigned char)c >= 0x80;
}

/* `[12]` or `["any name"]`. */
static const char *read_bracket(const char *p, struct segment *ret_segment)
{
	struct segment segment = {0};
	if (p[1] == '"') {
		segment.name = p + 2;
		segment.len = strcspn(p + 2, "\"\\");
		p += 2 + segment.len;
		if (p[0] != '"' || p[1] != ']')
			return NULL;
		*ret_segment = segment;
		return p + 2;
	}
	size_t digits = strspn(p + 1, "0123456789");
	if (digits == 0 || digits > 9 || p[1 + digits] != ']')
		return NULL;
	segment.index = strtoul(p + 1, NULL, 10);
	*ret_segment = segment;
	return p + digits + 2;
}

/* The segment at p: what follows it, or NULL if there is none. */
static const char *read_segment(const char *p, struct segment *ret_segment)
{
	if (*p == '.')
		p++;
	else if (*p != '[')
		return NULL;
	if (*p == '[')
		return read_bracket(p, ret_segment);
	const char *begin = p;
	while (is_name_byte(*p))
		p++;
	if (p == begin)
		return NULL;
	*ret_segment = (struct segment){.name = begin, .len = (size_t)(p - begin)};
	return p;
}

size_t json_path_length(const char *text)
{
	struct segment segment;
	const char *p = text;
	if (*text != '.')
		return 0;
	for (const char *next; (next = read_segment(p, &segment)) != NULL;)
		p = next;
	return p == text ? 1 : (size_t)(p - text);
}

static const struct json *element_of(const struct json *json, size_t index)
{
	const struct json *value = NULL;
	size_t pos = 0;
	if (json->type != JSON_ARRAY)
		return NULL;
	do {
		value = json_next(json, &pos, NULL);
	} while (value && index-- > 0);
	return value;
}

const struct json *json_at(const struct json *json, const char *path)
{
	struct segment segment;
	if (path[0] != '.')
		return NULL;
	if (path[1] == 0)
		return json;
	for (; json && *path;
	     json = segment.name ? member_of(json, segment.name, segment.len) : element_of(json, segment.index))
		if (!(path = read_segment(path, &segment)))
			return NULL;
	return json;
}

/* The text of a container without the space between its tokens. */
static void add_compact(struct buf *out, const char *p)
{
	size_t depth = 0;
	do {
		size_t run = strcspn(p, "\"[]{} \t\r\n");
		buf_add(out, p, run);
		p += run;
		if (*p == '"') {
			size_t n = strlen(p);
			buf_add(out, p, n);
			buf_add_char(out, '"');
			p += n + 1;
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if (*p == '}' || *p == ']')
			depth--;
		if (strchr("[]{}", *p))
			buf_add_char(out, *p);
		p++;
	} while (depth > 0);
}

int json_write(const struct json *json, struct buf *out)
{
	if (json->type == JSON_TEXT)
		return buf_add_json_str(out, json->at, json->size);
	if (json->type < JSON_ARRAY)
		return buf_add(out, json->at, json->size);
	add_compact(out, json->at);
	return out->failed ? WEIR_ENOMEM : 0;
}

/* All members but one: its value, NULL if there is none. */
static const struct json *write_others(const struct json *json, const struct segment *segment, struct buf *out)
{
	const struct json *found = NULL, *key, *value;
	for (size_t pos = 0; json && (value = json_next(json, &pos, &key));) {
		if (key->size == segment->len && memcmp(key->at, segment->name, segment->len) == 0) {
			found = value;
			continue;
		}
		json_write(key, out);
		buf_add_char(out, ':');
		json_write(value, out);
		buf_add_char(out, ',');
	}
	return found;
}

int json_write_around(const struct json *json, const char *path, struct buf *out, size_t *ret_at)
{
	size_t depth = 0, before = out->len;
	struct segment segment;
	do {
		path = read_segment(path, &segment);
		if (!path || !segment.name || (json && json->type != JSON_OBJECT && json->type != JSON_NULL)) {
			out->len = before;
			return WEIR_EDATA;
		}
		buf_add_char(out, '{');
		json = write_others(json, &segment, out);
		buf_add_json_str(out, segment.name, segment.len);
		buf_add_char(out, ':');
		depth++;
	} while (*path);
	*ret_at = out->len;
	while (depth--)
		buf_add_char(out, '}');
	return out->failed ? WEIR_ENOMEM : 0;
}

char *json_dump(const struct json *json, size_t *ret_len)
{
	struct buf out = {0};
	json_write(json, &out);
	return buf_take(&out, ret_len);
}

bool json_utf8_valid(const char *text, size_t n)
{
	for (size_t i = 0; i < n;) {
		while (n - i >= 8 && !(utf8_word(text + i) & UTF8_HIGHS))
			i += 8;
		size_t step = i < n ? utf8_length(text + i, n - i) : 0;
		if (i < n && !step)
			return false;
		i += step;
	}
	return true;
}
