/* SPDX-License-Identifier: MIT */
/* What the mock answers to requests, good and bad. */
#include "unit/mocks.h"

LOOP_TEST(mock_server_answers_each_path)
{
	configure();
	start();
	expect("/orders/7", 200, "{\"id\":7,");
	expect("/orders/a%22b?x=1", 200, "{\"id\":\"a\\\"b\",");
	expect("/orders/007", 200, "{\"id\":\"007\",");
	expect("/orders/", 200, "{\"id\":\"\",");
	expect("/html/9", 200, "<title>Page 9</title>");
	expect("/html/%3Cb%3E", 200, "<title>Page &lt;b></title>");
	expect("/text", 200, "Content-Type: text/plain\r\n");
	expect("/empty", 204, "\r\n\r\n");
	expect("/status/418", 418, "{\"error\":418");
	expect("/status/429/retry-after/soon", 429, "\r\nRetry-After: soon\r\n");
	expect("/status/503/retry-after/date:60", 503, " GMT\r\n");
	expect("/status/x", 503, "503");
	expect("/status/99", 404, "from 200 to 599");
	expect("/fault/nonsense", 404, "unknown fault");
	expect("/json/1", 200, "\r\n\r\n1");
	expect("/json/100", 200, "xxx\"}");
	expect("/json/1000000", 200, "xxx\"}");
	expect("/json/x", 404, "expected");
	expect("/what/ever", 200, "{\"path\":\"/what/ever\"}");
	expect("http://t/text", 200, "river");
	stop();
}

LOOP_TEST(mock_server_orders_add_up)
{
	configure();
	start();
	for (int id = 1; id <= 50; id++) {
		struct client *client = get(test_format("/orders/%d", id)), *again = get(test_format("/orders/%d", id));
		struct json *order;
		const struct json *items, *item;
		size_t pos = 0;
		double sum = 0;
		ck_assert_str_eq(client->got.data, again->got.data);
		ck_assert_int_eq(json_parse(body_of(client), strlen(body_of(client)), &order, NULL), 0);
		items = json_member(order, "items");
		while ((item = json_next(items, &pos, NULL)))
			sum += json_real(json_member(item, "qty")) * json_real(json_member(item, "price"));
		ck_assert(sum == json_real(json_member(order, "total")));
		ck_assert(announced(client) > 200 && announced(client) < 450);
		json_free(order);
		hang_up(client);
		hang_up(again);
	}
	stop();
}

LOOP_TEST(mock_server_answers_pipelined_requests_in_order)
{
	enum { REQUESTS = 500 };
	struct buf text = {0};
	configure();
	start();
	for (int i = 0; i < REQUESTS; i++)
		buf_addf(&text,
			 i % 3 ? "GET /orders/%d HTTP/1.1\r\nHost: t\r\n\r\n"
			       : "POST /orders/%d HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nGET ",
			 i);
	buf_add_str(&text, "HEAD /last HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
	struct client *client = dial();
	say(client, text.data);
	hear(client, NULL, 10 * WEIR_SEC);
	ck_assert_int_eq(client->end, 0);
	const char *at = client->got.data;
	for (int i = 0; i < REQUESTS; i++) {
		at = strstr(at, "\r\n\r\n{\"id\":");
		ck_assert_ptr_nonnull(at);
		ck_assert_int_eq(strtol(at + 10, NULL, 10), i);
		at++;
	}
	ck_assert_str_eq(client->got.data + client->got.len - 4, "\r\n\r\n"); /* HEAD: no body */
	ck_assert_uint_eq(mock_server_stats(server)->requests, REQUESTS + 1);
	hang_up(client);
	buf_fini(&text);
	stop();
}

LOOP_TEST(mock_server_takes_requests_a_byte_at_a_time)
{
	static const char text[] = "POST /echo?q HTTP/1.1\r\nHost: t\r\nX-A: 1\r\nContent-Length: 5\r\nx-a: 2\r\n"
				   "Connection: close\r\n\r\nabcde";
	configure();
	start();
	struct client *client = dial();
	for (size_t i = 0; i < sizeof text - 1; i++) {
		ck_assert_int_eq(weir_io_write(client->io, text + i, 1, WEIR_FOREVER), 0);
		weir_sleep(50 * WEIR_USEC);
	}
	hear(client, NULL, 10 * WEIR_SEC);
	ck_assert_int_eq(client->end, 0);
	ck_assert(is_json(body_of(client)));
	ck_assert_ptr_nonnull(strstr(client->got.data, "\"path\":\"/echo?q\""));
	ck_assert_ptr_nonnull(strstr(client->got.data, "\"x-a\":\"1, 2\""));
	ck_assert_ptr_nonnull(strstr(client->got.data, "\"body_bytes\":5,\"body\":\"abcde\""));
	hang_up(client);
	stop();
}

LOOP_TEST(mock_server_logs_each_request)
{
	const char *path = test_format("%s/log", test_folder());
	static const char text[] =
		"POST /status/503 HTTP/1.1\r\nHost: t\r\nIdempotency-Key: k-7\r\nContent-Length: 2\r\n"
		"\r\n{}GET /orders/1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
	char line[400];
	configure();
	config.log = path;
	start();
	struct client *client = dial();
	say(client, text);
	hear(client, NULL, 10 * WEIR_SEC);
	FILE *log = fopen(path, "r");
	ck_assert_ptr_nonnull(fgets(line, sizeof line, log));
	ck_assert_str_eq(line,
			 "{\"method\":\"POST\",\"path\":\"/status/503\",\"headers\":{\"host\":\"t\","
			 "\"idempotency-key\":\"k-7\",\"content-length\":\"2\"},\"body_bytes\":2,\"body\":\"{}\"}\n");
	ck_assert_ptr_nonnull(fgets(line, sizeof line, log));
	ck_assert_ptr_nonnull(strstr(line, "\"GET\",\"path\":\"/orders/1\""));
	ck_assert_ptr_null(fgets(line, sizeof line, log));
	fclose(log);
	hang_up(client);
	stop();
	config.log = "/no/such/folder/log";
	struct weir_error err = {0};
	ck_assert_int_eq(mock_server_new(&config, &server, &err), -ENOENT);
	ck_assert_str_eq(err.text, "cannot open /no/such/folder/log: No such file or directory");
}

LOOP_TEST(mock_server_refuses_bad_requests_and_closes)
{
	static const struct {
		const char *text;
		int status;
	} cases[] = {{"GET /\r\n\r\n", 400},
		     {"\x16\x03\x01", 400},
		     {"GET / HTTP/3.0\r\n", 505},
		     {"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 999999999999\r\n\r\n", 413},
		     {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n", 501}};
	configure();
	start();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct client *client = dial();
		say(client, cases[i].text);
		hear(client, "\r\n\r\n", 10 * WEIR_SEC);
		shutdown(client->fd, SHUT_WR);
		hear(client, NULL, 10 * WEIR_SEC);
		ck_assert_int_eq(client->end, 0);
		ck_assert_int_eq(strtol(client->got.data + 9, NULL, 10), cases[i].status);
		ck_assert_ptr_nonnull(strstr(client->got.data, "Connection: close\r\n"));
		hang_up(client);
	}
	struct client *client = dial();
	struct buf text = {0};
	buf_add_str(&text, "GET / HTTP/1.1\r\nX: ");
	memset(buf_reserve(&text, 200000), 'x', 200000);
	text.data[text.len + 200000] = 0;
	say(client, text.data);
	hear(client, NULL, 10 * WEIR_SEC);
	ck_assert_int_eq(strtol(client->got.data + 9, NULL, 10), 431);
	hang_up(client);
	buf_fini(&text);
	stop();
}

LOOP_TEST(mock_server_says_continue_when_asked)
{
	configure();
	start();
	struct client *client = dial();
	say(client, "POST /echo HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	hear(client, "HTTP/1.1 100 Continue\r\n\r\n", 10 * WEIR_SEC);
	ck_assert_int_eq(client->end, 1);
	say(client, "ab");
	hear(client, "\"body\":\"ab\"}", 10 * WEIR_SEC);
	ck_assert_int_eq(client->end, 1);
	hang_up(client);
	stop();
}
