/* SPDX-License-Identifier: MIT */
/* Error codes, errors with a place. */
#include "support/test.h"

#include <string.h>

TEST(error_every_code_has_its_name_and_text)
{
#define WEIR_X(name, value, words)                                                                                     \
	ck_assert_str_eq(weir_errname(WEIR_##name), "WEIR_" #name);                                                    \
	ck_assert_str_eq(weir_strerror(WEIR_##name), words);                                                           \
	ck_assert_int_lt(WEIR_##name, 0);
	WEIR_ERRORS(WEIR_X)
#undef WEIR_X
}

TEST(error_own_codes_lie_below_those_of_the_system)
{
	ck_assert_int_eq(WEIR_ETIMEDOUT, -ETIMEDOUT);
	ck_assert_int_lt(WEIR_ECLOSED, -5000);
	ck_assert_int_lt(WEIR_EDEADLOCK, -5000);
}

TEST(error_a_code_of_the_system_has_the_systems_text)
{
	ck_assert_str_eq(weir_strerror(-ENOTDIR), strerror(ENOTDIR));
	ck_assert_str_eq(weir_errname(-ENOTDIR), "?");
	ck_assert_str_eq(weir_strerror(0), "success");
	ck_assert_int_gt((int)strlen(weir_strerror(-4999)), 0);
	ck_assert_int_gt((int)strlen(weir_strerror(INT32_MIN)), 0);
}

TEST(error_set_returns_the_code_and_keeps_the_place)
{
	struct weir_error err = {.line = 3, .column = 7, .source = "orders.yaml"};
	ck_assert_int_eq(weir_error_set(&err, WEIR_EDATA, "no key '%s' in %d", "urk", 12), WEIR_EDATA);
	ck_assert_int_eq(err.code, WEIR_EDATA);
	ck_assert_str_eq(err.text, "no key 'urk' in 12");
	ck_assert_int_eq(err.line, 3);
	ck_assert_int_eq(err.column, 7);
	ck_assert_str_eq(err.source, "orders.yaml");
	ck_assert_int_eq(weir_error_set(NULL, WEIR_EINVAL, "nobody listens"), WEIR_EINVAL);
}

TEST(error_control_bytes_never_reach_the_text)
{
	struct weir_error err = {0};
	weir_error_set(&err, WEIR_EDATA, "%s", "a\x1b[31mb\nc\x7f\td");
	ck_assert_str_eq(err.text, "a?[31mb?c??d");
}

TEST(error_a_long_text_is_cut)
{
	struct weir_error err = {0};
	char longer[2 * sizeof err.text];
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	weir_error_set(&err, WEIR_EDATA, "%s", longer);
	ck_assert_uint_eq(strlen(err.text), sizeof err.text - 1);
}
