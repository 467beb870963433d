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
	bool begun = memo->value || memo->made.n || memo->note;
	return steps[memo->step + begun];
}

void memo_fini(struct memo *memo)
{
	value_list_fini(&memo->values);
	value_list_fini(&memo->made);
	free(memo->note);
	*memo = (struct memo){0};
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

static void add_value(struct buf *out, const char *bytes, size_t n, const char *meta)
{
	if (meta)
		buf_addf(out, "%zu %zu\n", n, strlen(meta));
	else
		buf_addf(out, "%zu -\n", n);
	buf_add(out, bytes, n);
	buf_add_str(out, meta ? meta : "");
	buf_add_char(out, '\n');
}

static void add_values(struct buf *out, const struct value_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		add_value(out, list->values[i].data, list->values[i].len, list->values[i].meta);
}

static void add_memo(struct buf *out, const struct memo *memo, const uint64_t *steps)
{
	buf_addf(out, "%016llx %zu %zu %zu %zu %d\n", (unsigned long long)makers_of(memo, steps), memo->step,
		 memo->value, memo->values.n, memo->made.n, memo->note != NULL);
	add_values(out, &memo->values);
	add_values(out, &memo->made);
	if (memo->note)
		add_value(out, memo->note, strlen(memo->note), NULL);
}

int memo_write(const struct memo *memo, const uint64_t *steps, struct value *ret_record)
{
	struct buf out = {0};
	char prefix[PREFIX_BYTES + 1];
	size_t note = memo->note ? strlen(memo->note) : 0;
	size_t bytes = HEAD_BYTES + bytes_of(&memo->values) + bytes_of(&memo->made) + note;
	if (bytes > MEMO_BYTES)
		return WEIR_ENOSPC;
	buf_reserve(&out, bytes);
	buf_addf(&out, "%*s", PREFIX_BYTES, "");
	add_memo(&out, memo, steps);
	if (out.failed) {
		buf_fini(&out);
		return WEIR_ENOMEM;
	}
	memcpy(out.data, write_prefix(prefix, out.data + PREFIX_BYTES, out.len - PREFIX_BYTES), PREFIX_BYTES);
	*ret_record = (struct value){.len = out.len};
	ret_record->data = buf_take(&out, NULL);
	return 0;
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

static void take_note(struct reader *reader, struct memo *memo, size_t n)
{
	struct value_list notes = {0};
	take_values(reader, &notes, n);
	if (notes.n) {
		memo->note = notes.values[0].data;
		notes.values[0].data = NULL;
	}
	value_list_fini(&notes);
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
	size_t values = take_number(reader, 10), made = take_number(reader, 10), notes = take_number(reader, 10);
	bool is_first = !memo->step && !memo->value && !values && notes;
	if (reader->code || memo->step >= step_count || notes > 1 || (memo->value >= values && !is_first))
		return WEIR_EDATA;
	take_values(reader, &memo->values, values);
	take_values(reader, &memo->made, made);
	take_note(reader, memo, notes);
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
	memo_fini(&memo);
	return code;
}
