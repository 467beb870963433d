/* SPDX-License-Identifier: MIT */
/* A file of its own, since jansson and data/json.h share names. */
#include "unit/json_oracle.h"

#include <jansson.h>

enum { FLAGS = JSON_DECODE_ANY | JSON_ALLOW_NUL };

enum json_opinion json_oracle_accepts(const char *text, size_t n)
{
	json_error_t error;
	json_t *value = json_loadb(text, n, FLAGS, &error);
	json_decref(value);
	if (value)
		return ORACLE_YES;
	enum json_error_code code = json_error_code(&error);
	return code == json_error_numeric_overflow || code == json_error_null_byte_in_key ? ORACLE_NO_SAY : ORACLE_NO;
}

bool json_oracle_same(const char *a, size_t a_len, const char *b, size_t b_len)
{
	json_error_t error;
	json_t *x = json_loadb(a, a_len, FLAGS, &error), *y = json_loadb(b, b_len, FLAGS, &error);
	bool same = x && y && json_equal(x, y);
	json_decref(x);
	json_decref(y);
	return same;
}
