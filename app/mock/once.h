/* SPDX-License-Identifier: MIT */
/* A bounded set of what has happened before: fingerprints only, a million of them at most. */
#ifndef MOCK_ONCE_H
#define MOCK_ONCE_H

#include "text.h"

enum { MOCK_ONCE_ITEMS = 1 << 20 };

struct mock_once {
	uint64_t *slots;
	size_t slot_count, used;
};

/* Whether this is the first time for the key.  When the set is full, or memory is, nothing is new any more. */
bool mock_once_first(struct mock_once *once, struct mock_span key);
void mock_once_fini(struct mock_once *once);

#endif
