/* SPDX-License-Identifier: MIT */
#include "port/groups.h"

#include <stdio.h>
#include <stdlib.h>

#include "data/json_writer.h"
#include "port/cause.h"

static struct letter_group *find_slot(struct letter_groups *groups, uint32_t cause)
{
	size_t at = cause % GROUP_SLOTS;
	while (groups->slots[at].cause && groups->slots[at].cause != cause)
		at = (at + 1) % GROUP_SLOTS;
	return &groups->slots[at];
}

void letter_groups_count(struct letter_groups *groups, const struct letter *letter)
{
	struct letter_group *group = find_slot(groups, letter->cause);
	groups->letters++;
	groups->last = letter->id;
	if (!group->cause && groups->n == GROUPS_MOST) {
		groups->others++;
		return;
	}
	if (!group->cause) {
		groups->n++;
		*group = (struct letter_group){.cause = letter->cause,
					       .example = letter->id,
					       .first = letter->at_unix,
					       .last = letter->at_unix};
	}
	group->n++;
	group->first = letter->at_unix < group->first ? letter->at_unix : group->first;
	group->last = letter->at_unix > group->last ? letter->at_unix : group->last;
}

static int compare(const void *a, const void *b)
{
	const struct letter_group *x = a, *y = b;
	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	return (x->example > y->example) - (x->example < y->example);
}

void letter_groups_sort(struct letter_groups *groups)
{
	size_t n = 0;
	for (size_t i = 0; i < GROUP_SLOTS; i++)
		if (groups->slots[i].cause)
			groups->slots[n++] = groups->slots[i];
	qsort(groups->slots, n, sizeof groups->slots[0], compare);
}

void letter_group_write(const struct letter_group *group, const struct letter *example, struct buf *out)
{
	char cause[16];
	snprintf(cause, sizeof cause, "%08x", group->cause);
	json_open(out, NULL, '{');
	json_put_text(out, "group", cause);
	json_put_uint(out, "letters", group->n);
	json_put_time(out, "first", group->first);
	json_put_time(out, "last", group->last);
	json_put_uint(out, "example", group->example);
	json_put_text(out, "reason", example->reason);
	cause_describe(example->evidence.data, example->evidence.len, out);
	buf_add_str(out, "}\n");
}

void letter_groups_end(const struct letter_groups *groups, struct buf *out)
{
	json_open(out, NULL, '{');
	json_put_uint(out, "letters", groups->letters);
	json_put_uint(out, "groups", groups->n);
	json_put_uint(out, "others", groups->others);
	json_put_uint(out, "last", groups->last);
	buf_add_str(out, "}\n");
}
