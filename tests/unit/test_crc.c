/* SPDX-License-Identifier: MIT */
#include "data/crc.h"
#include "support/test.h"

TEST(crc_has_the_known_check_value)
{
	ck_assert_uint_eq(crc_add(0, "123456789", 9), 0xCBF43926);
	ck_assert_uint_eq(crc_add(0, "", 0), 0);
}

TEST(crc_may_be_taken_in_pieces)
{
	ck_assert_uint_eq(crc_add(crc_add(0, "1234", 4), "56789", 5), crc_add(0, "123456789", 9));
	ck_assert_uint_ne(crc_add(0, "123456788", 9), crc_add(0, "123456789", 9));
}
