/* SPDX-License-Identifier: MIT */
/* Groups of dead letters (cause.h), counted in one walk over all letters, in a table of fixed size. */
#ifndef PORT_GROUPS_H
#define PORT_GROUPS_H

#include "port/letter.h"

#include <stdint.h>

enum {
	GROUPS_MOST = 4096, /* of which letters are counted apart */
	GROUPS_TOLD = 200,  /* the largest ones */
	GROUP_SLOTS = 2 * GROUPS_MOST,
};

struct letter_group {
	uint32_t cause; /* 0: the slot is free */
	uint64_t n, example;
	int64_t first, last; /* seconds */
};

/* All zero: nothing is counted. */
struct letter_groups {
	struct letter_group slots[GROUP_SLOTS];
	size_t n;
	uint64_t letters, others; /* others: of groups for which there was no slot */
	uint64_t last;            /* id */
};

void letter_groups_count(struct letter_groups *groups, const struct letter *letter);

/* Puts the groups into the first n slots, the largest first; of equal ones the oldest. */
void letter_groups_sort(struct letter_groups *groups);

/* Appends the line of a group, whose example is the letter; and the last line, which is about all. */
void letter_group_write(const struct letter_group *group, const struct letter *example, struct buf *out);
void letter_groups_end(const struct letter_groups *groups, struct buf *out);

#endif
