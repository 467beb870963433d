/* SPDX-License-Identifier: MIT */
#include "data/units.h"
#include "support/test.h"

#include <string.h>

TEST(units_durations_are_read_exactly)
{
	static const struct {
		const char *text;
		weir_nsec expected; /* -1: refused */
	} cases[] = {{"200ms", 200 * WEIR_MSEC},
		     {"0.1s", 100 * WEIR_MSEC},
		     {"1.5s", 1500 * WEIR_MSEC},
		     {"0", 0},
		     {"0.000001ms", 1},
		     {"5ns", 5},
		     {"7us", 7 * WEIR_USEC},
		     {"2m", 120 * WEIR_SEC},
		     {"3h", 3 * 3600 * WEIR_SEC},
		     {"2d", 2 * 86400 * WEIR_SEC},
		     {"5", -1},
		     {"5x", -1},
		     {"", -1},
		     {"s", -1},
		     {"-5ms", -1},
		     {"1.s", -1},
		     {".5s", -1},
		     {"1e3s", -1},
		     {"5ms ", -1},
		     {"99999999999999999999s", -1},
		     {"0.00000000000000000000000000000000000000000000000000000000000000000001s", -1}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		weir_nsec ns = -1;
		bool good = units_duration(cases[i].text, strlen(cases[i].text), &ns);
		ck_assert_msg(good == (cases[i].expected >= 0) && ns == cases[i].expected, "%s: %lld", cases[i].text,
			      (long long)ns);
	}
}

static bool reads_durations(const char *text, weir_nsec pair[2])
{
	return units_durations(text, strlen(text), pair);
}

TEST(units_ranges_end_where_they_begin_or_later)
{
	weir_nsec pair[2];
	int64_t range[2];
	ck_assert(reads_durations("200ms..30s", pair) && pair[0] == 200 * WEIR_MSEC && pair[1] == 30 * WEIR_SEC);
	ck_assert(reads_durations("7us", pair) && pair[0] == pair[1] && pair[1] == 7 * WEIR_USEC);
	ck_assert(!reads_durations("2s..1s", pair) && !reads_durations("1s..", pair) && !reads_durations("..1s", pair));
	ck_assert(units_range("1-1000", 6, range) && range[0] == 1 && range[1] == 1000);
	ck_assert(units_range("-3..-1", 6, range) && range[0] == -3 && range[1] == -1);
	ck_assert(units_range("-3--1", 5, range) && range[0] == -3 && range[1] == -1);
	ck_assert(!units_range("5-1", 3, range) && !units_range("5", 1, range) && !units_range("", 0, range) &&
		  !units_range("1-", 2, range) && !units_range("1...2", 5, range));
}

TEST(units_sizes_shares_and_counts_are_read_exactly)
{
	static const char *const bad[] = {"", "-", "+1", "1.0", "1 ", "0x1", "-0", "9223372036854775808"};
	uint64_t size;
	double share;
	int64_t n;
	ck_assert(units_size("512", 3, &size) && size == 512);
	ck_assert(units_size("64KB", 4, &size) && size == 64000);
	ck_assert(units_size("1.5MiB", 6, &size) && size == 1572864);
	ck_assert(!units_size("10mb", 4, &size));
	ck_assert(units_share("0%", 2, &share) && share == 0);
	ck_assert(units_share("100%", 4, &share) && share == 1);
	ck_assert(units_share("0.125", 5, &share) && share == 0.125);
	ck_assert(!units_share("0x1", 3, &share) && !units_share("5%%", 3, &share) && !units_share("5", 1, &share) &&
		  !units_share("101%", 4, &share) && !units_share("", 0, &share));
	ck_assert(units_count("9223372036854775807x", 19, 0, INT64_MAX, &n) && n == INT64_MAX);
	ck_assert(units_count("-7", 2, -7, -7, &n) && n == -7);
	ck_assert(!units_count("7", 1, 8, 9, &n) && !units_count("7", 1, 5, 6, &n));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(!units_count(bad[i], strlen(bad[i]), INT64_MIN, INT64_MAX, &n), "%s", bad[i]);
}

TEST(units_rates_are_so_many_in_a_time)
{
	static const struct {
		const char *text;
		uint64_t count;
		weir_nsec period;
	} good[] = {{"1/s", 1, WEIR_SEC},
		    {"1000000000/s", 1000000000, WEIR_SEC},
		    {"60/m", 60, 60 * WEIR_SEC},
		    {"5000/h", 5000, 3600 * WEIR_SEC},
		    {"1/d", 1, 86400 * WEIR_SEC},
		    {"3/10s", 3, 10 * WEIR_SEC},
		    {"3/100ms", 3, 100 * WEIR_MSEC},
		    {"0.4/s", 2, 5 * WEIR_SEC},
		    {"1.50/m", 3, 120 * WEIR_SEC},
		    {"60/min", 60, 60 * WEIR_SEC},
		    {"60/minute", 60, 60 * WEIR_SEC},
		    {"60 per minute", 60, 60 * WEIR_SEC},
		    {"60 / hour", 60, 3600 * WEIR_SEC},
		    {"60rpm", 60, 60 * WEIR_SEC},
		    {"60 rps", 60, WEIR_SEC},
		    {"1/day", 1, 86400 * WEIR_SEC},
		    {"5/sec", 5, WEIR_SEC},
		    {"5/second", 5, WEIR_SEC}};
	static const char *const bad[] = {
		"",     "5",    "/s",     "5/",      "5/x",          "0/s",   "0.0/s",
		"-1/s", ".5/s", "5/0s",   "5 per ",  "5 per",        "5rp",   "5perm",
		"5 s",  "5/s ", "5/366d", "0.001/d", "1000000001/s", "5/s/s", "99999999999999999999/s"};
	char text[32];
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		uint64_t count;
		weir_nsec period;
		ck_assert_msg(units_rate(good[i].text, strlen(good[i].text), &count, &period), "%s", good[i].text);
		ck_assert_uint_eq(count, good[i].count);
		ck_assert_int_eq(period, good[i].period);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint64_t count;
		weir_nsec period;
		ck_assert_msg(!units_rate(bad[i], strlen(bad[i]), &count, &period), "%s", bad[i]);
	}
	ck_assert_str_eq(units_rate_text(60, 60 * WEIR_SEC, text), "60/m");
	ck_assert_str_eq(units_rate_text(3, 10 * WEIR_SEC, text), "3/10s");
}

TEST(units_show_a_measured_rate_with_its_digits)
{
	static const struct {
		double per_sec;
		const char *text;
	} rates[] = {{250, "250/s"}, {10, "10/s"}, {9.5, "570/m"}, {0.967, "58/m"}, {0.01, "36/h"}, {0, "0/s"}};
	char text[32];
	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
		ck_assert_str_eq(units_per_second_text(rates[i].per_sec, text), rates[i].text);
}

TEST(units_are_written_the_shortest_way)
{
	char text[32];
	ck_assert_str_eq(units_duration_text(0, text), "0");
	ck_assert_str_eq(units_duration_text(90 * WEIR_SEC, text), "90s");
	ck_assert_str_eq(units_duration_text(2 * 86400 * WEIR_SEC, text), "2d");
	ck_assert_str_eq(units_size_text(1 << 20, text), "1MiB");
}
