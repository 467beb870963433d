/* SPDX-License-Identifier: MIT */
/*
 * What a pipeline does to its items, as text that outlives a release.  The state keeps the text of the run; the next
 * run compares it with its own and knows whether it may resume.
 *
 *     weir processing 1 3610a686        key, steps, sink, dead letters: version of the text, CRC-32 of what follows
 *     steps.1 = jq
 *     steps.1.program = ".a"
 *     steps.1.workers ! 1
 *     sink = csv
 *     sink.path = out.csv
 *     sink.header ~ true
 *     weir source 1 c8a7e1b2            where the items come from
 *     source = range
 *     source.numbers = 1-60
 *
 * A line for each key: its path, how it was set, its value.  Values are those of the file, numbers in one form; a
 * secret is ***.
 *
 *     =   written in the file
 *     ~   not written: the default of that release
 *     !   KEY_PACE: changes nothing of what becomes of an item
 *
 * Lines are compared by their paths, as the present release marks them:
 *
 *     !                          may differ, come and go
 *     ~ and ~                    may differ: it was never written, and a later release may choose another default
 *     ~ on one side alone        may come and go: a key that one of the releases does not know
 *     all others                 must be equal, and = must be on both sides
 *
 * Earlier releases kept a part of the YAML that `weir check --explain` prints.  That is read as if it were a pipeline
 * file, all of it written.
 */
#ifndef SPEC_MEANING_H
#define SPEC_MEANING_H

#include "data/buf.h"

#include <stdint.h>
#include <weir/base.h>

struct spec_node;

/* Of a pipeline file that has been checked: malloc'ed, NULL if there is no memory. */
char *spec_meaning_write(const struct spec_node *root);

/* Appends the first difference that matters, such as `it was "sink: csv", now it is "sink: jsonl"`; nothing if there
 * is none.  `was` may be of an earlier release, `is` comes from this one.  WEIR_ENOMEM; WEIR_EDATA when `was` cannot be
 * read, with err->text. */
int spec_meaning_compare(const char *was, const char *is, struct buf *change, struct weir_error *err);

/* The value at a path, such as "dead_letter.path"; malloc'ed, NULL if there is none or `meaning` cannot be read. */
char *spec_meaning_value(const char *meaning, const char *path);

/* What the first 0, 1, ... n steps do to an item, each as a number that outlives a release: of the keys that are
 * written.  A step that is not in the text does nothing.  ret_numbers has room for n + 1. */
void spec_meaning_steps(const char *meaning, uint64_t *ret_numbers, size_t n);

/* Where the sink writes that a section ("sink", "dead_letter") has: "orders.jsonl", "orders.db, table orders", or its
 * name.  malloc'ed, NULL if there is none. */
char *spec_meaning_place(const char *meaning, const char *section);

#endif
