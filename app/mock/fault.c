/* SPDX-License-Identifier: MIT */
/*
 * The names of faults.  An argument is optional, so what follows a name is taken for one only if it is a number; the
 * rest of a path is left to the caller, as it may be anything that keeps paths apart (/fault/half/17).
 */
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data/units.h"

#define NONE (-1)

static const struct {
	const char *name;
	int64_t argument;
} faults[MOCK_FAULT_KINDS] = {
#define X(id, name, argument, text) [MOCK_FAULT_##id] = {name, argument},
	MOCK_FAULTS(X)
#undef X
};

static const int64_t largest_argument = (int64_t)1 << 40;

const char *mock_fault_name(enum mock_fault_kind kind)
{
	return kind > MOCK_FAULT_NONE && kind < MOCK_FAULT_KINDS ? faults[kind].name : "none";
}

static enum mock_fault_kind find(struct mock_span name)
{
	for (int kind = MOCK_FAULT_NONE + 1; kind < MOCK_FAULT_KINDS; kind++)
		if (mock_text_is(name, faults[kind].name))
			return (enum mock_fault_kind)kind;
	return MOCK_FAULT_NONE;
}

static int take_argument(struct mock_span *rest, struct mock_fault *fault, struct weir_error *err)
{
	struct mock_span after = *rest, word = mock_text_cut(&after, '/');
	int64_t argument;
	if (units_count(word.at, word.n, 0, largest_argument, &argument)) {
		fault->argument = (uint64_t)argument;
		*rest = after;
	}
	if (fault->kind == MOCK_FAULT_STATUS && (fault->argument < 200 || fault->argument > 599))
		return weir_error_set(err, WEIR_EINVAL, "a status is a number from 200 to 599");
	if (fault->kind == MOCK_FAULT_SLOW && !fault->argument)
		return weir_error_set(err, WEIR_EINVAL, "slow requires at least 1 byte a second");
	return 0;
}

static int take_retry_after(struct mock_span *rest, struct mock_fault *fault, struct weir_error *err)
{
	struct mock_span after = *rest;
	if (!mock_text_is(mock_text_cut(&after, '/'), "retry-after"))
		return 0;
	struct mock_span word = mock_text_cut(&after, '/');
	char *value = fault->retry_after;
	int n = mock_text_unescape(word.at, word.n, value, sizeof fault->retry_after - 1);
	for (int i = 0; i < n; i++)
		if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
			n = -1;
	if (n <= 0)
		return weir_error_set(err, WEIR_EINVAL, "retry-after requires a text of at most %zu bytes",
				      sizeof fault->retry_after - 1);
	value[n] = 0;
	*rest = after;
	return 0;
}

int mock_fault_parse(struct mock_span *rest, struct mock_fault *ret_fault, struct weir_error *err)
{
	struct mock_span after = *rest, word = mock_text_cut(&after, '/');
	struct mock_fault fault = {0};
	int result = 0;
	if (mock_text_is(word, "once")) {
		fault.once = true;
		word = mock_text_cut(&after, '/');
	}
	fault.kind = find(word);
	if (!fault.kind)
		return weir_error_set(err, WEIR_EINVAL, "unknown fault '%.*s'", (int)(word.n > 60 ? 60 : word.n),
				      word.at);
	if (faults[fault.kind].argument != NONE) {
		fault.argument = (uint64_t)faults[fault.kind].argument;
		result = take_argument(&after, &fault, err);
	}
	if (!result && fault.kind == MOCK_FAULT_STATUS)
		result = take_retry_after(&after, &fault, err);
	if (result < 0)
		return result;
	*rest = after;
	*ret_fault = fault;
	return 0;
}

void mock_retry_after(const char *text, char *ret_value, size_t room)
{
	struct tm tm;
	time_t when = time(NULL);
	if (strncmp(text, "date:", 5)) {
		snprintf(ret_value, room, "%s", text);
		return;
	}
	int64_t seconds = 0;
	units_count(text + 5, strlen(text + 5), INT32_MIN, INT32_MAX, &seconds);
	when += seconds;
	if (!gmtime_r(&when, &tm) || !strftime(ret_value, room, "%a, %d %b %Y %H:%M:%S GMT", &tm))
		ret_value[0] = 0;
}

/* ---- what is met once: of each path its hash, of which 64 bits tell any two apart */

bool mock_once_first(struct mock_once *once, struct mock_span key)
{
	uint64_t hash = weir_hash(WEIR_HASH, key.at, key.n);
	bool is_over = once->seen.n == MOCK_ONCE_ITEMS || weir_table_find(&once->seen, hash);
	struct weir_table_node *node = is_over || weir_table_reserve(&once->seen) ? NULL : malloc(sizeof *node);
	if (node)
		weir_table_add(&once->seen, node, hash);
	return node;
}

void mock_once_fini(struct mock_once *once)
{
	for (struct weir_table_node *node = weir_table_next(&once->seen, NULL), *next; node; node = next) {
		next = weir_table_next(&once->seen, node);
		free(node);
	}
	weir_table_fini(&once->seen);
}
