/* SPDX-License-Identifier: MIT */
/* The gates of hosts: pure, so time is a number. */
#include "http/gate.h"
#include "support/test.h"

static struct http_gates *make_gates(size_t most)
{
	struct http_gates *gates;
	ck_assert_int_eq(http_gates_new(most, 300 * WEIR_SEC, &gates), 0);
	return gates;
}

TEST(gate_closes_one_host_until_the_time_the_server_named)
{
	struct http_gates *gates = make_gates(10);
	weir_nsec now = 1000 * WEIR_SEC;
	ck_assert_int_eq(http_gates_closed_until(gates, "http://a:80", now), 0);
	ck_assert_int_eq(http_gates_refused(gates, "http://a:80", 7 * WEIR_SEC, now), now + 7 * WEIR_SEC);
	ck_assert_int_eq(http_gates_closed_until(gates, "http://a:80", now), now + 7 * WEIR_SEC);
	ck_assert_int_eq(http_gates_closed_until(gates, "http://a:81", now), 0);
	ck_assert_uint_eq(http_gates_closed(gates, now), 1);
	ck_assert_int_eq(http_gates_closed_until(gates, "http://a:80", now + 7 * WEIR_SEC), 0);
	/* a later answer that asks for less does not open it early */
	http_gates_refused(gates, "http://a:80", WEIR_SEC, now + WEIR_SEC);
	ck_assert_int_eq(http_gates_closed_until(gates, "http://a:80", now + WEIR_SEC), now + 7 * WEIR_SEC);
	http_gates_free(gates);
}

TEST(gate_never_closes_for_longer_than_the_limit)
{
	struct http_gates *gates = make_gates(10);
	ck_assert_int_eq(http_gates_refused(gates, "http://a:80", 3650 * 86400 * WEIR_SEC, WEIR_SEC), 301 * WEIR_SEC);
	http_gates_free(gates);
}

TEST(gate_pauses_grow_only_from_one_opening_to_the_next)
{
	struct http_gates *gates = make_gates(10);
	weir_nsec now = WEIR_SEC;
	static const int want[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		weir_nsec until = http_gates_refused(gates, "http://a:80", -1, now);
		ck_assert_int_eq(until, now + want[i] * WEIR_SEC);
		/* forty-nine others were under way */
		ck_assert_int_eq(http_gates_refused(gates, "http://a:80", -1, now + WEIR_MSEC), until);
		now = until;
	}
	for (int i = 0; i < 100; i++)
		now = http_gates_refused(gates, "http://a:80", -1, now);
	http_gates_answered(gates, "http://a:80", now - 1); /* while closed it says nothing */
	ck_assert_int_eq(http_gates_refused(gates, "http://a:80", -1, now), now + 300 * WEIR_SEC);
	now += 300 * WEIR_SEC;
	http_gates_answered(gates, "http://a:80", now);
	ck_assert_int_eq(http_gates_refused(gates, "http://a:80", -1, now), now + WEIR_SEC);
	http_gates_free(gates);
}

TEST(gates_forget_the_host_that_was_used_longest_ago)
{
	struct http_gates *gates = make_gates(3);
	for (int i = 0; i < 3; i++)
		http_gates_refused(gates, test_format("http://h%d:80", i), 100 * WEIR_SEC, WEIR_SEC);
	ck_assert_int_ne(http_gates_closed_until(gates, "http://h0:80", WEIR_SEC), 0);
	http_gates_refused(gates, "http://h3:80", 100 * WEIR_SEC, WEIR_SEC);
	ck_assert_int_ne(http_gates_closed_until(gates, "http://h0:80", WEIR_SEC), 0);
	ck_assert_int_eq(http_gates_closed_until(gates, "http://h1:80", WEIR_SEC), 0);
	ck_assert_uint_eq(http_gates_closed(gates, WEIR_SEC), 3);
	http_gates_free(gates);
}
