/* SPDX-License-Identifier: MIT */
/* How the mock reads and draws latencies, shares and faults; and which rule holds for a path. */
#include "mock/config.h"
#include "mock/fault.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "support/test.h"

static struct mock_span span(const char *text)
{
	return (struct mock_span){text, strlen(text)};
}

TEST(mock_latency_refuses_what_it_does_not_understand)
{
	static const char *const bad[] = {"",
					  "5",
					  "5x",
					  "..5ms",
					  "5ms..",
					  "9ms..5ms",
					  "50%:5ms",
					  "50%:5ms,60%:6ms",
					  "90%:5ms,10%",
					  "90:5ms,10%:6ms",
					  "-1ms",
					  "5ms,6ms",
					  "@/nonexistent/file"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct mock_latency latency = {.parts = 77};
		struct weir_error err = {0};
		ck_assert_msg(mock_latency_parse(bad[i], &latency, &err) < 0, "%s", bad[i]);
		ck_assert(err.code < 0 && err.text[0]);
		ck_assert_uint_eq(latency.parts, 77);
	}
}

TEST(mock_latency_draws_within_its_range_and_fills_it)
{
	struct mock_latency latency;
	uint64_t random = 1;
	int tenths[10] = {0};
	ck_assert_int_eq(mock_latency_parse("10ms..20ms", &latency, NULL), 0);
	for (int i = 0; i < 100000; i++) {
		weir_nsec draw = mock_latency_draw(&latency, &random);
		ck_assert(draw >= 10 * WEIR_MSEC && draw <= 20 * WEIR_MSEC);
		if (draw < 20 * WEIR_MSEC)
			tenths[(draw - 10 * WEIR_MSEC) / WEIR_MSEC]++;
	}
	for (int i = 0; i < 10; i++)
		ck_assert_msg(tenths[i] > 9500 && tenths[i] < 10500, "tenth %d: %d", i, tenths[i]);
	ck_assert_int_eq(mock_latency_parse("3ms", &latency, NULL), 0);
	ck_assert_int_eq(mock_latency_draw(&latency, &random), 3 * WEIR_MSEC);
}

TEST(mock_latency_mixes_by_share)
{
	struct mock_latency latency;
	uint64_t random = 7;
	int slow = 0;
	ck_assert_int_eq(mock_latency_parse("90%:10ms..50ms,10%:1s..3s", &latency, NULL), 0);
	for (int i = 0; i < 100000; i++) {
		weir_nsec draw = mock_latency_draw(&latency, &random);
		bool is_slow = draw >= WEIR_SEC && draw <= 3 * WEIR_SEC;
		ck_assert(is_slow || (draw >= 10 * WEIR_MSEC && draw <= 50 * WEIR_MSEC));
		slow += is_slow;
	}
	ck_assert_msg(slow > 9600 && slow < 10400, "%d", slow);
}

TEST(mock_latency_draws_what_was_observed)
{
	struct mock_latency latency;
	struct weir_error err = {0};
	uint64_t random = 3;
	int seen[3] = {0};
	const char *path = test_write_file("seen", "12.5ms\n  2s  \r\n\n7\n");
	ck_assert_int_eq(mock_latency_parse(test_format("@%s", path), &latency, &err), 0);
	ck_assert_uint_eq(latency.observed_items, 3);
	for (int i = 0; i < 3000; i++) {
		weir_nsec draw = mock_latency_draw(&latency, &random);
		ck_assert(draw == 12500 * WEIR_USEC || draw == 2 * WEIR_SEC || draw == 7 * WEIR_MSEC);
		seen[draw == 2 * WEIR_SEC ? 0 : draw == 7 * WEIR_MSEC ? 1 : 2]++;
	}
	ck_assert(seen[0] > 800 && seen[1] > 800 && seen[2] > 800);
	mock_latency_fini(&latency);

	path = test_write_file("bad", "1ms\nsoon\n");
	ck_assert_int_eq(mock_latency_parse(test_format("@%s", path), &latency, &err), WEIR_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "bad:2:"));
	path = test_write_file("empty", "\n");
	ck_assert_int_eq(mock_latency_parse(test_format("@%s", path), &latency, &err), WEIR_EINVAL);
}

static struct mock_config config; /* too large for a frame */

TEST(mock_config_takes_the_longest_prefix)
{
	uint64_t random = 1;
	mock_config_init(&config);
	ck_assert_int_eq(mock_config_latency(&config, "/slow=2s", NULL), 0);
	ck_assert_int_eq(mock_config_latency(&config, "10ms", NULL), 0);
	ck_assert_int_eq(mock_config_latency(&config, "/slow/but=1s", NULL), 0);
	ck_assert_int_eq(mock_config_draw_latency(&config, span("/slow/x"), &random), 2 * WEIR_SEC);
	ck_assert_int_eq(mock_config_draw_latency(&config, span("/slow/but/x"), &random), WEIR_SEC);
	ck_assert_int_eq(mock_config_draw_latency(&config, span("/"), &random), 10 * WEIR_MSEC);
	ck_assert_int_eq(mock_config_draw_latency(&config, span("/slow"), &random), 2 * WEIR_SEC);
	ck_assert_int_eq(mock_config_draw_latency(&config, span("/slower"), &random), 10 * WEIR_MSEC);
	ck_assert_int_eq(mock_config_latency(&config, "/all/=3s", NULL), 0);
	ck_assert_int_eq(mock_config_draw_latency(&config, span("/all/x"), &random), 3 * WEIR_SEC);
	ck_assert_int_eq(mock_config_draw_latency(&config, span("/all"), &random), 10 * WEIR_MSEC);
	ck_assert_int_eq(mock_config_errors(&config, "/flaky=100%", NULL), 0);
	ck_assert(mock_config_draw_error(&config, span("/flaky"), &random));
	ck_assert(!mock_config_draw_error(&config, span("/other"), &random));
	mock_config_fini(&config);
}

TEST(mock_config_draws_faults_by_their_chances)
{
	uint64_t random = 5;
	int resets = 0, stalls = 0;
	mock_config_init(&config);
	ck_assert_int_eq(mock_config_fault(&config, "/=html", NULL), 0);
	ck_assert_int_eq(mock_config_fault(&config, "/orders=reset:10%", NULL), 0);
	ck_assert_int_eq(mock_config_fault(&config, "/orders=stall:20%", NULL), 0);
	for (int i = 0; i < 10000; i++) {
		const struct mock_fault *fault = mock_config_draw_fault(&config, span("/orders/1"), &random);
		resets += fault && fault->kind == MOCK_FAULT_RESET;
		stalls += fault && fault->kind == MOCK_FAULT_STALL;
		ck_assert(!fault || fault->kind != MOCK_FAULT_HTML);
	}
	ck_assert(resets > 850 && resets < 1150 && stalls > 1800 && stalls < 2200);
	ck_assert_int_eq(mock_config_draw_fault(&config, span("/x"), &random)->kind, MOCK_FAULT_HTML);
	mock_config_fini(&config);
}

TEST(mock_config_refuses_nonsense)
{
	static const char *const faults[] = {"/a",         "reset",
					     "/a=",        "/a=rest",
					     "/a=reset:",  "/a=reset:101%",
					     "/a=reset/x", "/a=status/99",
					     "/a=slow/0",  "/a=status/503/retry-after/"};
	static const char *const listens[] = {"",       "8080",        "localhost:80", "127.0.0.1:", "127.0.0.1:65536",
					      "::1:80", "127.0.0.1:8x"};
	mock_config_init(&config);
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		ck_assert_msg(mock_config_fault(&config, faults[i], NULL) == WEIR_EINVAL, "%s", faults[i]);
	for (size_t i = 0; i < sizeof listens / sizeof listens[0]; i++)
		ck_assert_msg(mock_config_listen(&config, listens[i], NULL) == WEIR_EINVAL, "%s", listens[i]);
	ck_assert_int_eq(mock_config_latency(&config, "/a", NULL), WEIR_EINVAL);
	ck_assert_int_eq(mock_config_errors(&config, "5", NULL), WEIR_EINVAL);
	ck_assert_int_eq(mock_config_retry_after(&config, "soon", NULL), WEIR_EINVAL);
	ck_assert_uint_eq(config.rule_count, 0);
	for (int i = 0; i < MOCK_RULES; i++)
		ck_assert_int_eq(mock_config_latency(&config, "1ms", NULL), 0);
	ck_assert_int_eq(mock_config_latency(&config, "1ms", NULL), WEIR_EINVAL);
	ck_assert_int_eq(mock_config_listen(&config, "127.0.0.5:81", NULL), 0);
	ck_assert_str_eq(address_text(&config.listen, (char[ADDRESS_TEXT_BYTES]){0}), "127.0.0.5:81");
	mock_config_fini(&config);
}

TEST(mock_fault_reads_names_arguments_and_leaves_the_rest)
{
	static const struct {
		const char *text;
		enum mock_fault_kind kind;
		bool once;
		uint64_t argument;
		const char *retry_after, *rest;
	} cases[] = {{"reset", MOCK_FAULT_RESET, false, 0, "", ""},
		     {"half/17", MOCK_FAULT_HALF, false, 0, "", "17"},
		     {"slow/7/x", MOCK_FAULT_SLOW, false, 7, "", "x"},
		     {"slow/x", MOCK_FAULT_SLOW, false, 100, "", "x"},
		     {"once/reset-body/k/l", MOCK_FAULT_RESET_BODY, true, 0, "", "k/l"},
		     {"once/status/429/retry-after/-5/k", MOCK_FAULT_STATUS, true, 429, "-5", "k"},
		     {"status/503/retry-after/a%20b", MOCK_FAULT_STATUS, false, 503, "a b", ""}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct mock_span rest = span(cases[i].text);
		struct mock_fault fault;
		ck_assert_int_eq(mock_fault_parse(&rest, &fault, NULL), 0);
		ck_assert_int_eq(fault.kind, cases[i].kind);
		ck_assert(fault.once == cases[i].once && fault.argument == cases[i].argument);
		ck_assert_str_eq(fault.retry_after, cases[i].retry_after);
		ck_assert(mock_text_is(rest, cases[i].rest));
	}
	struct mock_span bad = span("status/200/retry-after/a%0d%0aX:y");
	struct mock_fault fault;
	ck_assert_int_eq(mock_fault_parse(&bad, &fault, NULL), WEIR_EINVAL);
}

TEST(mock_once_is_true_once_a_key_and_bounded)
{
	struct mock_once once = {0};
	char key[32];
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 5000; i++) {
			snprintf(key, sizeof key, "/k/%d", i);
			ck_assert(mock_once_first(&once, span(key)) == !round);
		}
	for (int i = 5000; i < MOCK_ONCE_ITEMS; i++) {
		snprintf(key, sizeof key, "/k/%d", i);
		mock_once_first(&once, span(key));
	}
	ck_assert_uint_eq(once.seen.n, MOCK_ONCE_ITEMS);
	ck_assert(!mock_once_first(&once, span("/new")));
	mock_once_fini(&once);
}
