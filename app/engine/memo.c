/* SPDX-License-Identifier: MIT */
#include "engine/memo.h"

#include "data/buf.h"
#include "data/crc.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/base.h>

enum { VERSION = 1, PREFIX_BYTES = 11, HEAD_BYTES = 128, LENGTHS_BYTES = 48 };

/* The steps whose work is in it: a step that has begun is one of them. */
static uint64_t makers_of(const struct memo *memo, const uint64_t *steps)
{
	bool begun = memo->value || memo->made.n;
	return steps[memo->step + begun];
}

/* What a memo with such a rest begins with. */
static const char *write_prefix(char prefix[PREFIX_BYTES + 1], const char *rest, size_t n)
{
	snprintf(prefix, PREFIX_BYTES + 1, "%d %08x ", VERSION, crc_add(0, rest, n));
	return prefix;
}

/* ---- writing */

static size_t bytes_of(const struct value_list *list)
{
	size_t bytes = 0;
	for (size_t i = 0; i < list->n && bytes <= MEMO_BYTES; i++) {
		const struct value *value = &list->values[i];
		bytes += LENGTHS_BYTES + value->len + (value->meta ? strlen(value->meta) : 0);
	}
	return bytes;
}

static void add_values(struct buf *out, const struct value_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct value *value = &list->values[i];
		if (value->meta)
			buf_addf(out, "%zu %zu\n", value->len, strlen(value->meta));
		else
			buf_addf(out, "%zu -\n", value->len);
		buf_add(out, value->data, value->len);
		buf_add_str(out, value->meta ? value->meta : "");
		buf_add_char(out, '\n');
	}
}

bool memo_write(const struct memo *memo, const uint64_t *steps, struct value *ret_record)
{
	struct buf out = {0};
	struct value record = {0};
	size_t bytes = HEAD_BYTES + bytes_of(&memo->values) + bytes_of(&memo->made);
	if (bytes > MEMO_BYTES || !buf_reserve(&out, bytes))
		return false;
	buf_addf(&out, "%*s", PREFIX_BYTES, "");
	buf_addf(&out, "%016llx %zu %zu %zu %zu\n", (unsigned long long)makers_of(memo, steps), memo->step, memo->value,
		 memo->values.n, memo->made.n);
	add_values(&out, &memo->values);
	add_values(&out, &memo->made);
	if (!out.failed) {
		char prefix[PREFIX_BYTES + 1];
		memcpy(out.data, write_prefix(prefix, out.data + PREFIX_BYTES, out.len - PREFIX_BYTES), PREFIX_BYTES);
		record.data = buf_take(&out, &record.len);
	}
	buf_fini(&out);
	if (record.data)
		*ret_record = record;
	return record.data;
}

/* ---- reading: bytes that were damaged end it, and are never looked at beyond their end */

struct reader {
	const char *at, *end;
	int code;
};

static unsigned fail(struct reader *reader, int code)
{
	if (!reader->code)
		reader->code = code;
	return 0;
}

/* With the blank or line end behind it. */
static size_t take_number(struct reader *reader, int base)
{
	char *end = NULL;
	if (reader->code || reader->at >= reader->end || !isxdigit((unsigned char)*reader->at))
		return fail(reader, WEIR_EDATA);
	size_t number = strtoull(reader->at, &end, base);
	if (end == reader->at || end >= reader->end)
		return fail(reader, WEIR_EDATA);
	reader->at = end + 1;
	return number;
}

/* NULL if there are not so many. */
static const char *take_bytes(struct reader *reader, size_t n)
{
	const char *bytes = reader->at;
	if (reader->code || (size_t)(reader->end - reader->at) < n) {
		fail(reader, WEIR_EDATA);
		return NULL;
	}
	reader->at += n;
	return bytes;
}

static void take_value(struct reader *reader, struct value_list *list)
{
	struct value value = {0};
	size_t n = take_number(reader, 10), meta_n = 0;
	bool has_meta = !reader->code && *reader->at != '-';
	if (has_meta)
		meta_n = take_number(reader, 10);
	else
		take_bytes(reader, 2);
	const char *bytes = take_bytes(reader, n), *meta = take_bytes(reader, meta_n);
	if (!take_bytes(reader, 1))
		return;
	int code = value_copy(&value, bytes, n);
	if (!code && has_meta && !(value.meta = strndup(meta, meta_n)))
		code = WEIR_ENOMEM;
	if (code)
		value_fini(&value);
	else
		code = value_list_take(list, &value);
	if (code)
		fail(reader, code);
}

static void take_values(struct reader *reader, struct value_list *list, size_t n)
{
	for (size_t i = 0; i < n && !reader->code; i++)
		take_value(reader, list);
}

static int read_all(struct reader *reader, const uint64_t *steps, size_t step_count, struct memo *memo)
{
	char prefix[PREFIX_BYTES + 1];
	const char *found = take_bytes(reader, PREFIX_BYTES);
	if (!found || memcmp(found, write_prefix(prefix, reader->at, (size_t)(reader->end - reader->at)), PREFIX_BYTES))
		return WEIR_EDATA;
	uint64_t makers = take_number(reader, 16);
	memo->step = take_number(reader, 10);
	memo->value = take_number(reader, 10);
	size_t values = take_number(reader, 10), made = take_number(reader, 10);
	if (reader->code || !memo->step || memo->step >= step_count || memo->value >= values)
		return WEIR_EDATA;
	take_values(reader, &memo->values, values);
	take_values(reader, &memo->made, made);
	if (reader->at != reader->end || makers != makers_of(memo, steps))
		fail(reader, WEIR_EDATA);
	return reader->code;
}

int memo_read(const struct value *record, const uint64_t *steps, size_t step_count, struct memo *ret_memo)
{
	struct memo memo = {0};
	struct reader reader = {.at = record->data, .end = record->data + record->len};
	int code = record->data ? read_all(&reader, steps, step_count, &memo) : WEIR_EDATA;
	if (!code) {
		*ret_memo = memo;
		return 0;
	}
	value_list_fini(&memo.values);
	value_list_fini(&memo.made);
	return code;
}
