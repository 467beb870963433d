/* SPDX-License-Identifier: MIT */
#include "redis/broker/entry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- meta data */

struct entry_meta entry_meta_of(const struct item *item)
{
	const char *why = item_why(item);
	return (struct entry_meta){
		.position = item->position,
		.number = item->number,
		.attempts = item->attempts,
		.bad = item->bad,
		.ages = item_ages_of(item),
		.why = {(char *)(uintptr_t)why, strlen(why)},
		.record = item->record,
	};
}

static void add_number(uint64_t number, struct buf *out)
{
	buf_add_uint(out, number);
	buf_add_char(out, ' ');
}

static void add_age(weir_nsec age, struct buf *out)
{
	if (age < 0)
		buf_add_str(out, "-1 ");
	else
		add_number((uint64_t)(age / WEIR_MSEC), out);
}

void entry_meta_write(const struct entry_meta *meta, struct buf *out)
{
	add_number(meta->position, out);
	add_number(meta->attempts, out);
	add_number(meta->bad, out);
	add_number(meta->number, out);
	add_age(meta->ages.born, out);
	add_age(meta->ages.taken, out);
	add_age(meta->ages.attempted, out);
	add_number(meta->why.len, out);
	add_number(meta->record.len, out);
	buf_add_uint(out, meta->history.len);
	buf_add_char(out, '\n');
	buf_add(out, meta->why.data, meta->why.len);
	buf_add(out, meta->record.data, meta->record.len);
	buf_add(out, meta->history.data, meta->history.len);
}

static bool cut(const char **text, const char *end, uint64_t n, struct value *ret_value)
{
	if (n > (uint64_t)(end - *text))
		return false;
	if (n)
		*ret_value = (struct value){(char *)(uintptr_t)*text, (size_t)n};
	*text += n;
	return true;
}

static weir_nsec age_of(int64_t ms)
{
	return ms < 0 || ms > INT64_MAX / WEIR_MSEC ? -1 : ms * WEIR_MSEC;
}

enum { NUMBERS = 10 };

int entry_meta_read(const char *text, size_t n, struct entry_meta *ret_meta)
{
	struct entry_meta meta = {0};
	int64_t numbers[NUMBERS];
	const char *end = text + n, *at = memchr(text, '\n', n);
	char *next = (char *)(uintptr_t)text;
	if (!at)
		return WEIR_EDATA;
	for (size_t i = 0; i < NUMBERS; i++) {
		const char *from = next;
		numbers[i] = strtoll(from, &next, 10);
		if (next == from || *next != (i + 1 < NUMBERS ? ' ' : '\n'))
			return WEIR_EDATA;
	}
	at = next + 1;
	meta.position = (uint64_t)numbers[0];
	meta.attempts = (unsigned)numbers[1];
	meta.bad = numbers[2];
	meta.number = (uint64_t)numbers[3];
	meta.ages = (struct item_ages){age_of(numbers[4]), age_of(numbers[5]), age_of(numbers[6])};
	if (!cut(&at, end, (uint64_t)numbers[7], &meta.why) || !cut(&at, end, (uint64_t)numbers[8], &meta.record) ||
	    !cut(&at, end, (uint64_t)numbers[9], &meta.history) || at != end)
		return WEIR_EDATA;
	*ret_meta = meta;
	return 0;
}

/* ---- items */

void entry_id(const struct item *item, char ret_id[48])
{
	snprintf(ret_id, 48, "%" PRIu64 "-%" PRIu64, (uint64_t)item->place / ENTRY_STREAMS, item->id);
}

static int fill(struct item *item, const struct entry *entry, const struct entry_meta *meta)
{
	item->position = meta->position;
	item->attempts = meta->attempts;
	item->bad = meta->bad;
	item->number = meta->number;
	item_set_why(item, "%.*s", (int)meta->why.len, meta->why.len ? meta->why.data : "");
	item_set_ages(item, &meta->ages, entry->after > 0 ? entry->after : 0);
	int code = value_copy(&item->source, entry->body.data, entry->body.len);
	return code || !meta->record.len ? code : value_copy(&item->record, meta->record.data, meta->record.len);
}

int entry_item(const struct entry *entry, struct item **ret_item, struct entry_meta *ret_meta)
{
	struct entry_meta meta;
	uint64_t ticket, number;
	if (sscanf(entry->id, "%" SCNu64 "-%" SCNu64, &ticket, &number) != 2 || !number ||
	    entry_meta_read(entry->meta.data, entry->meta.len, &meta))
		return WEIR_EDATA;
	struct item *item = item_new();
	if (!item)
		return WEIR_ENOMEM;
	item->id = number;
	item->place = entry_place(ticket, entry->stream);
	int code = fill(item, entry, &meta);
	if (code) {
		item_free(item);
		return code;
	}
	*ret_item = item;
	*ret_meta = meta;
	return 0;
}
