/* SPDX-License-Identifier: MIT */
/* Addresses to listen on. */
#include "support/test.h"

#include "data/address.h"

#include <errno.h>
#include <unistd.h>

TEST(address_is_read_and_written)
{
	static const char *const good[] = {"127.0.0.1:0", "0.0.0.0:65535", "[::1]:80", "[::]:0"};
	static const char *const bad[] = {"",        "9464",  ":9464",           "localhost:9464", "127.0.0.1",
					  "::1:80",  "[::1]", "127.0.0.1:65536", "127.0.0.1:-1",   "[127.0.0.1]:1",
					  "[::1:80", "[]:1",  "127.0.0.1:x",     "1.2.3:4",        "[::1]:"};
	struct address address;
	char text[ADDRESS_TEXT_BYTES];
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		ck_assert(address_read(good[i], &address));
		ck_assert_str_eq(address_text(&address, text), good[i]);
		ck_assert_int_eq(address_is_loopback(&address), i % 2 == 0);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(!address_read(bad[i], &address), "%s", bad[i]);
}

TEST(address_listens_on_a_free_port_once)
{
	struct address address, again;
	ck_assert(address_read("[::1]:0", &address));
	int fd = address_listen(&address, 1, NULL);
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_ne(address_port(&address), 0);
	again = address;
	ck_assert_int_eq(address_listen(&again, 1, NULL), -EADDRINUSE);
	close(fd);
}
