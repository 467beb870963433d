/* SPDX-License-Identifier: MIT */
/*
 * `range: 1-1000`: whole numbers, each an item.  The position of an item is its place in the range, from 1.
 * The count of numbers is kept unsigned: from the least int64_t to the largest there are more than an int64_t holds.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/run.h>

#include "port/adapters.h"

struct range_config {
	int64_t numbers[2];
};

struct range_source {
	int64_t first;
	uint64_t done, last; /* places in the range, from 0; done may be last + 1 */
	bool ended;
};

static int check_range(const void *config, const char **ret_key, struct weir_error *err)
{
	const struct range_config *range = config;
	if (range->numbers[0] <= range->numbers[1])
		return 0;
	*ret_key = "numbers";
	return weir_error_set(err, WEIR_EINVAL, "the range ends before it begins; write the smaller number first");
}

static int open_range(const void *config, const char *pipeline, struct source **ret_source, struct weir_error *err)
{
	const struct range_config *range = config;
	struct range_source *source = calloc(1, sizeof *source);
	if (!source)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	(void)pipeline;
	source->first = range->numbers[0];
	source->last = (uint64_t)range->numbers[1] - (uint64_t)range->numbers[0];
	*ret_source = (struct source *)source;
	return 0;
}

static int next_number(struct source *handle, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	struct range_source *source = (struct range_source *)handle;
	char text[24];
	(void)deadline;
	if (weir_canceled())
		return weir_error_set(err, WEIR_ECANCELED, "cancelled");
	if (source->ended)
		return SOURCE_END;
	int64_t number = (int64_t)((uint64_t)source->first + source->done);
	int n = snprintf(text, sizeof text, "%" PRId64, number);
	if (value_copy(&item->source, text, (size_t)n))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	source->ended = source->done == source->last;
	item->position = ++source->done;
	return SOURCE_ITEM;
}

static int64_t count_numbers(const struct source *handle, bool *ret_exact)
{
	const struct range_source *source = (const struct range_source *)handle;
	*ret_exact = source->last < INT64_MAX;
	return *ret_exact ? (int64_t)source->last + 1 : -1;
}

static bool identify_range(const struct source *handle, struct buf *identity)
{
	const struct range_source *source = (const struct range_source *)handle;
	buf_addf(identity, "range first=%" PRId64 " last=%" PRId64, source->first,
		 (int64_t)((uint64_t)source->first + source->last));
	return true;
}

/* A range that was made longer goes on; one that begins elsewhere has other numbers at its places. */
static int resume_range(struct source *handle, const char *identity, const struct source_cursor *cursor, bool adopt,
			struct weir_error *err)
{
	struct range_source *source = (struct range_source *)handle;
	int64_t first, last;
	uint64_t done = 0;
	(void)adopt;
	if (sscanf(identity, "range first=%" SCNd64 " last=%" SCNd64, &first, &last) != 2 || first != source->first)
		return weir_error_set(err, WEIR_EINVAL,
				      "the range began elsewhere (%.100s); restore that, or start over with --fresh",
				      identity);
	if (*cursor->text && sscanf(cursor->text, "done=%" SCNu64, &done) != 1)
		return weir_error_set(err, WEIR_EINVAL, "invalid position in a range: %s", cursor->text);
	if (done && done - 1 > source->last)
		return weir_error_set(err, WEIR_EINVAL,
				      "the range ends before the position that was reached (%s); restore it, or start "
				      "over with --fresh",
				      cursor->text);
	source->done = done;
	source->ended = done && done - 1 == source->last;
	return 0;
}

static void range_cursor(const struct source *handle, struct source_cursor *ret_cursor)
{
	const struct range_source *source = (const struct range_source *)handle;
	snprintf(ret_cursor->text, sizeof ret_cursor->text, "done=%" PRIu64, source->done);
}

static void close_range(struct source *handle)
{
	free(handle);
}

static const struct key keys[] = {
	{"numbers", KEY_RANGE, offsetof(struct range_config, numbers), .flags = KEY_REQUIRED,
	 .text = "The first and the last number, such as 1-1000"},
	{0},
};

static const struct source_ops ops = {
	.open = open_range,
	.next = next_number,
	.total = count_numbers,
	.identify = identify_range,
	.resume = resume_range,
	.cursor = range_cursor,
	.close = close_range,
};

const struct adapter source_range_adapter = {
	.kind = ADAPTER_SOURCE,
	.name = "range",
	.text = "Counts from one whole number to another",
	.keys = keys,
	.config_bytes = sizeof(struct range_config),
	.shorthand = "numbers",
	.check = check_range,
	.source = &ops,
};
