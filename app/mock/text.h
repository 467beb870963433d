/* SPDX-License-Identifier: MIT */
/* Reading the small values that options and paths are made of.  Texts are (pointer, length), without a NUL. */
#ifndef MOCK_TEXT_H
#define MOCK_TEXT_H

#include <weir/base.h>

/* A stretch of a text that belongs to somebody else. */
struct mock_span {
	const char *at;
	size_t n;
};

/* A duration, or two, the shorter first (data/units.h); of at most 10 days. */
bool mock_text_durations(struct mock_span text, weir_nsec ret_pair[2]);

/* Decodes %XX; writes at most `room` bytes and returns how many, or -1 when the text is no good or too long. */
int mock_text_unescape(const char *text, size_t n, char *ret_text, size_t room);

/* The piece of *rest up to the first `end`, which is taken off with it; all of it where there is none. */
struct mock_span mock_text_cut(struct mock_span *rest, char end);

bool mock_text_is(struct mock_span text, const char *word);

#endif
