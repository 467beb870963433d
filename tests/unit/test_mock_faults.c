/* SPDX-License-Identifier: MIT */
/* How the mock spoils an answer when it is asked to. */
#include "unit/mocks.h"

LOOP_TEST(mock_fault_ends_the_connection_as_it_says)
{
	static const struct {
		const char *fault;
		int end;
		bool head, part; /* whether there is a head; whether less comes than announced */
	} cases[] = {{"reset", -ECONNRESET, false, false}, {"reset-body", -ECONNRESET, true, true},
		     {"close", 0, false, false},           {"half", 0, true, true},
		     {"stall", -ETIMEDOUT, false, false},  {"stall-body", -ETIMEDOUT, true, true},
		     {"wrong-length", 0, true, true}};
	configure();
	start();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct client *client = get_within(test_format("/fault/%s/3", cases[i].fault), 300 * WEIR_MSEC);
		ck_assert_msg(client->end == cases[i].end, "%s: %d", cases[i].fault, client->end);
		ck_assert_msg((client->got.len > 0) == cases[i].head, "%s: %s", cases[i].fault, client->got.data);
		if (cases[i].part)
			ck_assert_uint_lt(strlen(body_of(client)), announced(client));
		hang_up(client);
	}
	stop();
}

LOOP_TEST(mock_fault_spoils_the_body_as_it_says)
{
	configure();
	start();
	struct client *client = get("/fault/close-cut");
	ck_assert(client->end == 0 && !strstr(client->got.data, "Content-Length"));
	ck_assert(body_of(client)[0] == '{' && !is_json(body_of(client)));
	hang_up(client);

	client = get("/fault/chunk-cut");
	size_t size = strtoul(body_of(client), NULL, 16);
	ck_assert_ptr_nonnull(strstr(client->got.data, "Transfer-Encoding: chunked\r\n"));
	ck_assert(client->end == 0 && size > strlen(strchr(body_of(client), '\n') + 1));
	hang_up(client);

	client = get("/fault/short-length");
	ck_assert_uint_eq(strlen(body_of(client)), announced(client) + 10);
	hang_up(client);

	client = get("/fault/bad-json");
	ck_assert_uint_eq(strlen(body_of(client)), announced(client));
	ck_assert(!is_json(body_of(client)));
	hang_up(client);

	client = get("/fault/bad-utf8");
	ck_assert(!is_json(body_of(client)) && !json_utf8_valid(body_of(client), strlen(body_of(client))));
	hang_up(client);

	client = get("/fault/garbage");
	ck_assert(client->end == 0 && client->got.len && !strstr(client->got.data, "HTTP"));
	hang_up(client);
	expect("/fault/html", 200, "Content-Type: text/html; charset=utf-8\r\n");
	expect("/fault/bom", 200, "\r\n\r\n\xEF\xBB\xBF{\"id\":1,");
	expect("/fault/empty", 200, "Content-Length: 0\r\n");
	expect("/fault/status/502", 502, "Bad Gateway");
	stop();
}

LOOP_TEST(mock_fault_streams_without_end_of_memory)
{
	configure();
	start();
	struct client *client = get("/fault/huge");
	ck_assert_int_eq(client->end, 0);
	ck_assert_uint_gt(client->got.len, 11 * 1024 * 1024);
	ck_assert_str_eq(client->got.data + client->got.len - 5, "0\r\n\r\n");
	hang_up(client);

	client = get("/fault/big-header");
	const char *line = strstr(client->got.data, "X-Big: ");
	ck_assert_uint_eq(strcspn(line, "\r"), 400000 + 7);
	ck_assert(is_json(body_of(client)));
	hang_up(client);

	client = get("/fault/continue");
	int continues = 0;
	for (const char *at = client->got.data; (at = strstr(at, "100 Continue")); at++)
		continues++;
	ck_assert_int_eq(continues, 20000);
	ck_assert_ptr_nonnull(strstr(client->got.data, "HTTP/1.1 200 OK"));
	hang_up(client);
	stop();
}

LOOP_TEST(mock_fault_slow_takes_its_time)
{
	configure();
	start();
	weir_nsec began = weir_clock();
	struct client *client = get("/fault/slow/1000/5");
	weir_nsec took = weir_clock() - began, least = (weir_nsec)announced(client) * WEIR_MSEC;
	ck_assert(is_json(body_of(client)));
	ck_assert_msg(took >= least && took < least + 500 * WEIR_MSEC, "%lld", (long long)took);
	hang_up(client);
	stop();
}

LOOP_TEST(mock_fault_once_spares_the_second_request)
{
	configure();
	ck_assert_int_eq(mock_config_fault(&config, "/orders=once/status/503/retry-after/1", NULL), 0);
	start();
	struct client *client = get("/fault/once/reset/42");
	ck_assert_int_eq(client->end, -ECONNRESET);
	hang_up(client);
	expect("/fault/once/reset/42", 200, "{\"id\":42,");
	client = get("/fault/once/reset/43");
	ck_assert_int_eq(client->end, -ECONNRESET);
	hang_up(client);
	expect("/orders/1", 503, "Retry-After: 1\r\n");
	expect("/orders/1", 200, "{\"id\":1,");
	expect("/orders/2", 503, "Retry-After: 1\r\n");
	ck_assert_uint_eq(mock_server_stats(server)->by_fault[MOCK_FAULT_RESET], 2);
	ck_assert_uint_eq(mock_server_stats(server)->by_fault[MOCK_FAULT_STATUS], 2);
	stop();
}
