/* SPDX-License-Identifier: MIT */
/*
 * What an item has got so far on its way through the steps, as bytes that its broker keeps (item->record) and that
 * outlive the process: so no call that succeeded is made again.  Pure: no I/O, nothing suspends.
 *
 *     1 3610a686 9c0f4b0e77d1a3c2 2 0 1 0 0     version, CRC-32 of the rest, what the steps are that made it, the next
 *     17 -                                      step and the value that it is given next, numbers of values, made,
 * notes
 *     {"n":1,"id":"a7"}                         of each value: its length, that of its meta (-: none), both
 *
 * It is of use only to the steps that made it: those before the next one, and that one, too, if it has begun.  A memo
 * of others, of another release's version, or a damaged one is none: then the item starts at the first step.
 */
#ifndef ENGINE_MEMO_H
#define ENGINE_MEMO_H

#include "data/value.h"

#include <stdbool.h>
#include <stdint.h>

/* The longest.  A broker writes it before each call that it saves from being repeated, and holds it in memory. */
#define MEMO_BYTES ((size_t)1 << 20)

struct memo {
	size_t step;              /* the next one */
	size_t value;             /* and the next of the values that it is given */
	struct value_list values; /* all of these; the first step is given the item, and has none */
	struct value_list made;   /* by the step, of those before `value` */
	char *note;               /* what the step keeps of `value`, malloc'ed; NULL: nothing.  The first has one */
};

/* Frees what it holds. */
void memo_fini(struct memo *memo);

/* steps: as of spec_meaning_steps().  WEIR_ENOSPC: it would be longer than MEMO_BYTES; WEIR_ENOMEM. */
int memo_write(const struct memo *memo, const uint64_t *steps, struct value *ret_record);

/* Of a pipeline with so many steps.  WEIR_EDATA: it is no memo of theirs; WEIR_ENOMEM. */
int memo_read(const struct value *record, const uint64_t *steps, size_t step_count, struct memo *ret_memo);

#endif
