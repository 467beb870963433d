/* SPDX-License-Identifier: MIT */
/* What jansson thinks of a text: a second opinion for the tests of JSON. */
#ifndef UNIT_JSON_ORACLE_H
#define UNIT_JSON_ORACLE_H

#include <stdbool.h>
#include <stddef.h>

enum json_opinion { ORACLE_NO, ORACLE_YES, ORACLE_NO_SAY };

/* Whether it is a value.  It has no say about integers beyond 64 bits, reals beyond a double, a NUL in a key. */
enum json_opinion json_oracle_accepts(const char *text, size_t n);

/* Whether both are the same value, numbers to the precision of a double. */
bool json_oracle_same(const char *a, size_t a_len, const char *b, size_t b_len);

#endif
