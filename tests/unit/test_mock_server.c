/* SPDX-License-Identifier: MIT */
/*
 * The mock over real sockets: server and clients are fibers of one loop.  The clients are plain sockets, since the
 * point of most tests is what bytes come, and how the connection ends.
 */
#include "mock/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir/group.h>
#include <weir/io.h>

#include "port/buf.h"
#include "port/json.h"
#include "support/test.h"

static struct mock_config config;
static struct mock_server *server;
static struct weir_group *group;
static struct sockaddr_in address;

static void configure(void)
{
	mock_config_init(&config);
	ck_assert_int_eq(mock_config_listen(&config, "127.0.0.1:0", NULL), 0);
}

static void start(void)
{
	struct weir_error err = {0};
	ck_assert_msg(mock_server_new(&config, &server, &err) == 0, "%s", err.text);
	mock_server_address(server, &address);
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	ck_assert_int_eq(weir_group_spawn(group, mock_server_run, server, WEIR_FOREVER), 0);
}

static void stop(void)
{
	weir_group_cancel(group);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
	ck_assert_uint_eq(mock_server_stats(server)->connections, 0);
	mock_server_free(server);
	mock_config_fini(&config);
}

struct client {
	int fd;
	struct weir_io *io;
	struct buf got;
	int end; /* 0: FIN; or how reading failed */
};

static struct client *dial(void)
{
	struct client *client = calloc(1, sizeof *client);
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(client->fd, 0);
	if (connect(client->fd, (struct sockaddr *)&address, sizeof address) < 0)
		ck_assert_int_eq(errno, EINPROGRESS);
	ck_assert_int_eq(weir_io_open(client->fd, &client->io), 0);
	return client;
}

static void hang_up(struct client *client)
{
	weir_io_close(client->io);
	close(client->fd);
	buf_fini(&client->got);
	free(client);
}

static void say(struct client *client, const char *text)
{
	ck_assert_int_eq(weir_io_write(client->io, text, strlen(text), WEIR_FOREVER), 0);
}

/* Reads until `until` was read (NULL: the end) or the time is over. */
static void hear(struct client *client, const char *until, weir_nsec limit)
{
	static char piece[65536];
	weir_nsec deadline = weir_after(limit);
	do {
		ssize_t n = weir_io_read(client->io, piece, sizeof piece, deadline);
		if (n <= 0) {
			client->end = (int)n;
			return;
		}
		ck_assert_int_eq(buf_add(&client->got, piece, (size_t)n), 0);
	} while (!until || !memmem(client->got.data, client->got.len, until, strlen(until)));
	client->end = 1;
}

static struct client *get_within(const char *path, weir_nsec limit)
{
	struct client *client = dial();
	say(client, test_format("GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", path));
	hear(client, NULL, limit);
	buf_add_str(&client->got, "");
	return client;
}

static struct client *get(const char *path)
{
	return get_within(path, 10 * WEIR_SEC);
}

static const char *body_of(const struct client *client)
{
	const char *end = strstr(client->got.data, "\r\n\r\n");
	ck_assert_ptr_nonnull(end);
	return end + 4;
}

static bool is_json(const char *text)
{
	struct json *json;
	if (json_parse(text, strlen(text), &json, NULL) < 0)
		return false;
	json_free(json);
	return true;
}

static size_t announced(const struct client *client)
{
	const char *at = strstr(client->got.data, "Content-Length: ");
	ck_assert_ptr_nonnull(at);
	return strtoul(at + 16, NULL, 10);
}

/* A good answer: that status, as long as announced, ended by FIN. */
static void expect(const char *path, int status, const char *words)
{
	struct client *client = get(path);
	ck_assert_msg(client->end == 0, "%s: %d", path, client->end);
	ck_assert_msg(!strncmp(client->got.data, test_format("HTTP/1.1 %d ", status), 13), "%s: %s", path,
		      client->got.data);
	if (status != 204)
		ck_assert_uint_eq(strlen(body_of(client)), announced(client));
	ck_assert_msg(strstr(client->got.data, words), "%s: %s", path, client->got.data);
	hang_up(client);
}

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
	expect("/status/99", 404, "between 200 and 599");
	expect("/fault/nonsense", 404, "no fault is called");
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
	static const char text[] =
		"POST /echo?q HTTP/1.1\r\nHost: t\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\nx-a: 2\r\n"
		"Connection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
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

LOOP_TEST(mock_server_refuses_bad_requests_and_closes)
{
	static const struct {
		const char *text;
		int status;
	} cases[] = {{"GET /\r\n\r\n", 400},
		     {"\x16\x03\x01", 400},
		     {"GET / HTTP/3.0\r\n", 505},
		     {"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 999999999999\r\n\r\n", 413},
		     {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400}};
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

/* ---- faults ---- */

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

/* ---- rules ---- */

LOOP_TEST(mock_server_takes_as_long_as_it_is_told)
{
	configure();
	ck_assert_int_eq(mock_config_latency(&config, "50ms", NULL), 0);
	ck_assert_int_eq(mock_config_latency(&config, "/slow=600ms", NULL), 0);
	start();
	weir_nsec began = weir_clock();
	expect("/text", 200, "river");
	weir_nsec took = weir_clock() - began;
	ck_assert_msg(took >= 50 * WEIR_MSEC && took < 200 * WEIR_MSEC, "%lld", (long long)took);
	began = weir_clock();
	expect("/slow", 200, "path");
	took = weir_clock() - began;
	ck_assert_msg(took >= 600 * WEIR_MSEC && took < 900 * WEIR_MSEC, "%lld", (long long)took);
	stop();
}

LOOP_TEST(mock_server_notices_who_does_not_wait_for_a_slow_answer)
{
	configure();
	ck_assert_int_eq(mock_config_latency(&config, "1h", NULL), 0);
	start();
	struct client *client = get_within("/text", 50 * WEIR_MSEC);
	ck_assert_int_eq(client->end, WEIR_ETIMEDOUT);
	ck_assert_uint_eq(mock_server_stats(server)->connections, 1);
	hang_up(client);
	for (int i = 0; i < 1000 && mock_server_stats(server)->connections; i++)
		weir_sleep(WEIR_MSEC);
	ck_assert_uint_eq(mock_server_stats(server)->connections, 0);
	stop();
}

LOOP_TEST(mock_server_counts_what_it_does)
{
	configure();
	config.error_status = 502;
	ck_assert_int_eq(mock_config_errors(&config, "/bad=100%", NULL), 0);
	start();
	expect("/bad/1", 502, "injected");
	expect("/orders/1", 200, "id");
	expect("/orders/2", 200, "id");
	expect("/stats", 200,
	       "{\"requests\":3,\"answers\":3,\"limited\":0,\"by_status\":{\"200\":2,\"502\":1},\"faults\":{},"
	       "\"most_in_window\":3,\"in_flight\":{\"now\":0,\"max\":1,\"refused\":0,\"queued\":0},"
	       "\"in_outage\":0,\"connections\":{\"now\":1,\"max\":1,\"accepted\":4,\"refused\":0},"
	       "\"paths\":{\"/bad\":1,\"/orders\":2,\"(other)\":0}}");
	stop();
}

LOOP_TEST(mock_server_answers_429_over_its_limit)
{
	configure();
	ck_assert_int_eq(mock_capacity_limit(&config.capacity, "1/m,burst=2", NULL), 0);
	start();
	expect("/orders/1", 200, "id");
	expect("/orders/2", 200, "id");
	expect("/orders/3", 429, "Retry-After: 60\r\n");
	config.retry_after_date = true;
	expect("/orders/3", 429, " GMT\r\n");
	ck_assert_int_eq(mock_config_retry_after(&config, "7", NULL), 0);
	expect("/orders/3", 429, "Retry-After: 7\r\n");
	expect("/stats", 200, "\"limited\":3");
	expect("/stats/seconds", 200, "{\"requests\":[");
	stop();
}

LOOP_TEST(mock_server_refuses_at_once_what_is_too_much_at_once)
{
	enum { CLIENTS = 10 };
	struct client *clients[CLIENTS];
	int good = 0;
	configure();
	ck_assert_int_eq(mock_config_latency(&config, "300ms", NULL), 0);
	ck_assert_int_eq(mock_capacity_at_once(&config.capacity, "4", NULL), 0);
	start();
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = dial();
		say(clients[i], "GET /text HTTP/1.1\r\nHost: t\r\n\r\n");
	}
	for (int i = 0; i < CLIENTS; i++) {
		hear(clients[i], "\r\n\r\n", 10 * WEIR_SEC);
		good += strtol(clients[i]->got.data + 9, NULL, 10) == 200;
		hang_up(clients[i]);
	}
	ck_assert_int_eq(good, 4);
	expect("/text", 200, "river"); /* those that are answered make room */
	expect("/stats", 200, "\"in_flight\":{\"now\":0,\"max\":4,\"refused\":6,");
	stop();
}

LOOP_TEST(mock_server_with_a_worker_answers_one_after_the_other)
{
	struct client *clients[4];
	configure();
	ck_assert_int_eq(mock_config_latency(&config, "50ms", NULL), 0);
	config.capacity.workers = 1;
	start();
	weir_nsec began = weir_clock();
	for (int i = 0; i < 4; i++) {
		clients[i] = dial();
		say(clients[i], "GET /text HTTP/1.1\r\nHost: t\r\n\r\n");
	}
	for (int i = 0; i < 4; i++) {
		hear(clients[i], "river", 10 * WEIR_SEC);
		ck_assert_int_ge(weir_clock() - began, (i + 1) * 50 * WEIR_MSEC);
		hang_up(clients[i]);
	}
	expect("/stats", 200, "\"max\":4,\"refused\":0,\"queued\":3}");
	stop();
}

LOOP_TEST(mock_server_turns_away_connections_over_its_limit)
{
	configure();
	config.max_connections = 2;
	start();
	struct client *one = dial(), *two = dial();
	say(one, "GET /text HTTP/1.1\r\nHost: t\r\n\r\n");
	hear(one, "river", WEIR_SEC);
	say(two, "GET /text HTTP/1.1\r\nHost: t\r\n\r\n");
	hear(two, "river", WEIR_SEC);
	ck_assert(one->end == 1 && two->end == 1);
	expect("/text", 503, "Connection: close\r\n");
	ck_assert_uint_eq(mock_server_stats(server)->refused, 1);
	ck_assert_uint_eq(mock_server_stats(server)->max_connections, 2);
	hang_up(two);
	weir_sleep(20 * WEIR_MSEC);
	expect("/text", 200, "river");
	hang_up(one);
	stop();
}

LOOP_TEST(mock_server_survives_without_descriptors)
{
	enum { CLIENTS = 20 };
	struct client *clients[CLIENTS];
	struct rlimit limit;
	struct weir_run_stats before, after;
	configure();
	start();
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = dial();
	/* From here on no descriptor is to be had but what the server keeps in reserve. */
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	rlim_t soft = limit.rlim_cur;
	int highest = dup(0);
	close(highest);
	limit.rlim_cur = (rlim_t)highest + 5;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	int good = 0, closed = 0;
	for (int i = 0; i < CLIENTS; i++) {
		if (send(clients[i]->fd, "GET /text HTTP/1.1\r\nHost: t\r\n\r\n", 31, MSG_NOSIGNAL) != 31) {
			closed++;
			continue;
		}
		hear(clients[i], "river", WEIR_SEC);
		good += clients[i]->end == 1;
		closed += clients[i]->end == 0 || clients[i]->end == -ECONNRESET;
	}
	ck_assert_int_eq(good + closed, CLIENTS);
	ck_assert_msg(good >= 3 && closed >= 10, "%d good, %d closed", good, closed);
	weir_run_stats(&before);
	weir_sleep(100 * WEIR_MSEC);
	weir_run_stats(&after);
	ck_assert_uint_lt(after.switches - before.switches, 100);
	limit.rlim_cur = soft;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int i = 0; i < CLIENTS; i++)
		hang_up(clients[i]);
	expect("/text", 200, "river");
	stop();
}

LOOP_TEST(mock_server_holds_many_connections_at_once)
{
	enum { CLIENTS = 400 };
	static struct client *clients[CLIENTS];
	configure();
	ck_assert_int_eq(mock_config_latency(&config, "100ms", NULL), 0);
	start();
	weir_nsec began = weir_clock();
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = dial();
		say(clients[i], test_format("GET /orders/%d HTTP/1.1\r\nHost: t\r\n\r\n", i));
	}
	for (int i = 0; i < CLIENTS; i++) {
		hear(clients[i], test_format("{\"id\":%d,", i), 10 * WEIR_SEC);
		ck_assert_int_eq(clients[i]->end, 1);
	}
	ck_assert_uint_eq(mock_server_stats(server)->max_connections, CLIENTS);
	ck_assert(weir_clock() - began < 5 * WEIR_SEC);
	for (int i = 0; i < CLIENTS; i++)
		hang_up(clients[i]);
	stop();
}
