/* SPDX-License-Identifier: MIT */
/*
 * The HTTP client against weir's own mock, which runs on the same loop.  What the mock cannot do (refuse a connection,
 * accept and say nothing at all) is a socket of the test's own.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir/group.h>
#include <weir/io.h>

#include "http/client.h"
#include "http/origin.h"
#include "mock/server.h"
#include "support/test.h"

struct upstream {
	struct mock_config config;
	struct mock_server *server;
	struct weir_group *group;
	struct http_client *client;
	unsigned port;
};

static struct upstream *start(const struct http_client_options *opts)
{
	struct upstream *up = calloc(1, sizeof *up);
	mock_config_init(&up->config);
	address_set_port(&up->config.listen, 0);
	ck_assert_int_eq(mock_server_new(&up->config, &up->server, NULL), 0);
	up->port = address_port(mock_server_address(up->server));
	ck_assert_int_eq(weir_group_new(&(struct weir_group_options){.flags = WEIR_GROUP_COLLECT}, &up->group), 0);
	ck_assert_int_eq(weir_group_spawn(up->group, mock_server_run, up->server, WEIR_FOREVER), 0);
	ck_assert_int_eq(http_global_init(), 0);
	ck_assert_int_eq(http_client_new(opts, &up->client), 0);
	return up;
}

static void stop(struct upstream *up)
{
	http_client_free(up->client);
	weir_group_cancel(up->group);
	weir_group_wait(up->group, WEIR_FOREVER);
	weir_group_free(up->group);
	mock_server_free(up->server);
	mock_config_fini(&up->config);
	free(up);
}

static int fetch_url(struct http_client *client, const char *url, struct http_response *response, weir_nsec deadline)
{
	struct http_origin origin;
	const char *wrong = http_origin_parse(url, &origin);
	ck_assert_msg(!wrong, "%s", wrong);
	const struct http_request request = {.method = "GET", .url = url, .origin = &origin};
	return http_client_fetch(client, &request, response, deadline);
}

static struct http_response fetch(struct upstream *up, const char *path)
{
	struct http_response response = {0};
	const char *url = test_format("http://127.0.0.1:%u%s", up->port, path);
	ck_assert_int_eq(fetch_url(up->client, url, &response, WEIR_FOREVER), 0);
	return response;
}

static void expect_failure(struct upstream *up, const char *path, enum http_failure failure, const char *detail)
{
	struct http_response response = fetch(up, path);
	ck_assert_msg(response.failure == failure, "%s: %d %s: %s", path, response.status,
		      http_failure_name(response.failure), response.detail);
	ck_assert_msg(strstr(response.detail, detail) != NULL, "%s: '%s'", path, response.detail);
	http_response_fini(&response);
}

static size_t connects(const struct upstream *up)
{
	struct http_figures figures;
	http_client_figures(up->client, &figures);
	return figures.connects;
}

LOOP_TEST(http_fetches_and_uses_its_connection_again)
{
	struct upstream *up = start(&(struct http_client_options){0});
	for (int i = 0; i < 5; i++) {
		struct http_response response = fetch(up, "/orders/7");
		ck_assert_int_eq(response.failure, HTTP_ANSWERED);
		ck_assert_int_eq(response.status, 200);
		ck_assert(response.length_known && response.sent && response.took > 0);
		ck_assert_uint_eq(strlen(response.body), response.body_bytes);
		ck_assert_ptr_nonnull(strstr(response.body, "7"));
		http_response_fini(&response);
	}
	ck_assert_uint_eq(connects(up), 1);
	stop(up);
}

LOOP_TEST(http_sends_method_headers_and_body)
{
	const char *const common[] = {"X-Common: c"};
	struct upstream *up = start(&(struct http_client_options){.headers = common, .header_count = 1});
	static const char *const methods[] = {"POST", "GET", "PUT", "DELETE", "PATCH", "POST"};
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		struct http_origin origin;
		const char *url = test_format("http://127.0.0.1:%u/echo", up->port);
		http_origin_parse(url, &origin);
		const char *const own[] = {"X-Own: o"};
		bool body = strcmp(methods[i], "GET") != 0;
		const struct http_request request = {.method = methods[i],
						     .url = url,
						     .origin = &origin,
						     .headers = own,
						     .header_count = i % 2,
						     .body = body ? "{\"a\":1}" : NULL,
						     .body_bytes = body ? 7 : 0};
		struct http_response response = {0};
		ck_assert_int_eq(http_client_fetch(up->client, &request, &response, WEIR_FOREVER), 0);
		ck_assert_msg(response.status == 200, "%s %s", methods[i], response.detail);
		ck_assert_msg(strstr(response.body, methods[i]) != NULL, "%s", response.body);
		ck_assert_msg((strstr(response.body, "\"o\"") != NULL) == (i % 2 == 1), "%s", response.body);
		ck_assert_msg(strstr(response.body, "\"c\"") != NULL, "%s", response.body);
		http_response_fini(&response);
	}
	stop(up);
}

static int fetch_order(void *arg)
{
	struct http_response response = fetch(arg, "/orders/7");
	ck_assert_int_eq(response.status, 200);
	http_response_fini(&response);
	return 0;
}

/* So many connections lie idle then. */
static void keep_connections(struct upstream *up, size_t n)
{
	struct weir_group *group;
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(weir_group_spawn(group, fetch_order, up, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
	ck_assert_uint_eq(mock_server_stats(up->server)->connections, n);
}

/* Each time that libcurl would send again, it has kept connections left (PREREQ), or needs a new one (a socket). */
LOOP_TEST(http_sends_a_request_once_when_a_kept_connection_dies_under_it)
{
	static const char *const methods[] = {"POST", "GET"}, *const faults[] = {"/fault/close", "/fault/reset"};
	for (size_t i = 0; i < 8; i++) {
		struct upstream *up = start(&(struct http_client_options){0});
		const struct mock_stats *stats = mock_server_stats(up->server);
		struct http_response response = {0};
		struct http_origin origin;
		keep_connections(up, i / 4 ? 4 : 1);
		uint64_t requests = stats->requests, accepted = stats->accepted;
		const char *url = test_format("http://127.0.0.1:%u%s", up->port, faults[i / 2 % 2]);
		http_origin_parse(url, &origin);
		const struct http_request request = {.method = methods[i % 2], .url = url, .origin = &origin};
		ck_assert_int_eq(http_client_fetch(up->client, &request, &response, WEIR_FOREVER), 0);
		ck_assert_msg(response.failure == HTTP_RESET && response.sent, "%s", response.detail);
		ck_assert_str_eq(response.detail, "connection closed without an answer");
		ck_assert_uint_eq(stats->requests, requests + 1);
		ck_assert_uint_eq(stats->accepted, accepted);
		http_response_fini(&response);
		response = fetch(up, "/orders/7"); /* the client is none the worse for it */
		ck_assert_int_eq(response.status, 200);
		http_response_fini(&response);
		stop(up);
	}
}

/* … and says that it is worth another try, on a new connection, though others lie idle; but of no new one. */
LOOP_TEST(http_tells_that_a_kept_connection_died)
{
	static const char *const faults[] = {"/fault/close", "/fault/reset"};
	for (size_t i = 0; i < 4; i++) {
		struct upstream *up = start(&(struct http_client_options){0});
		const struct mock_stats *stats = mock_server_stats(up->server);
		struct http_response response = {0};
		struct http_origin origin;
		keep_connections(up, i / 2 ? 4 : 1);
		uint64_t requests = stats->requests, accepted = stats->accepted;
		const char *url = test_format("http://127.0.0.1:%u%s", up->port, faults[i % 2]);
		http_origin_parse(url, &origin);
		struct http_request request = {.method = "GET", .url = url, .origin = &origin};
		ck_assert_int_eq(http_client_fetch(up->client, &request, &response, WEIR_FOREVER), 0);
		ck_assert_msg(response.failure == HTTP_RESET, "%s", response.detail);
		ck_assert_int_eq(response.again, HTTP_AGAIN_IF_REPEATABLE);
		http_response_fini(&response);
		request.is_fresh = true;
		ck_assert_int_eq(http_client_fetch(up->client, &request, &response, WEIR_FOREVER), 0);
		ck_assert_msg(response.failure == HTTP_RESET, "%s", response.detail);
		ck_assert_int_eq(response.again, HTTP_NOT_AGAIN);
		ck_assert_uint_eq(stats->requests, requests + 2);
		ck_assert_uint_eq(stats->accepted, accepted + 1);
		http_response_fini(&response);
		stop(up);
	}
}

LOOP_TEST(http_head_has_no_body_and_does_not_wait_for_one)
{
	struct upstream *up = start(&(struct http_client_options){.body_bytes = 10});
	struct http_origin origin;
	const char *url = test_format("http://127.0.0.1:%u/orders/7", up->port);
	http_origin_parse(url, &origin);
	const struct http_request request = {.method = "HEAD", .url = url, .origin = &origin};
	struct http_response response = {0};
	ck_assert_int_eq(http_client_fetch(up->client, &request, &response, WEIR_FOREVER), 0);
	ck_assert_msg(response.failure == HTTP_ANSWERED, "%s", response.detail);
	ck_assert_int_eq(response.status, 200);
	ck_assert_uint_eq(response.body_bytes, 0);
	http_response_fini(&response);
	stop(up);
}

LOOP_TEST(http_tells_the_kinds_of_failure_apart)
{
	struct upstream *up = start(&(struct http_client_options){.timeout = 400 * WEIR_MSEC, .body_bytes = 1 << 20});
	expect_failure(up, "/fault/reset", HTTP_RESET, "reset");
	expect_failure(up, "/fault/reset-body", HTTP_RESET, "reset");
	expect_failure(up, "/fault/close", HTTP_RESET, "without an answer");
	expect_failure(up, "/fault/stall", HTTP_TIMEOUT, "no complete answer in 400 ms");
	expect_failure(up, "/fault/stall-body", HTTP_TIMEOUT, "no complete answer in 400 ms");
	expect_failure(up, "/fault/half", HTTP_RESET, "truncated");
	expect_failure(up, "/fault/chunk-cut", HTTP_RESET, "");
	expect_failure(up, "/fault/slow/10", HTTP_TIMEOUT, "no complete answer in 400 ms");
	expect_failure(up, "/fault/wrong-length", HTTP_RESET, "truncated");
	expect_failure(up, "/fault/huge", HTTP_TOO_LARGE, "body");
	expect_failure(up, "/fault/garbage", HTTP_PROTOCOL, "not HTTP");
	expect_failure(up, "/fault/big-header", HTTP_TOO_LARGE, "header");
	expect_failure(up, "/fault/continue", HTTP_TOO_LARGE, "headers");
	struct http_response response = fetch(up, "/orders/1"); /* and is none the worse for it */
	ck_assert_int_eq(response.status, 200);
	http_response_fini(&response);
	stop(up);
}

LOOP_TEST(http_cannot_tell_a_cut_body_of_unknown_length_and_says_so)
{
	struct upstream *up = start(&(struct http_client_options){0});
	struct http_response response = fetch(up, "/fault/close-cut");
	ck_assert_int_eq(response.failure, HTTP_ANSWERED);
	ck_assert(!response.length_known);
	http_response_fini(&response);
	stop(up);
}

LOOP_TEST(http_reports_status_and_the_servers_hint)
{
	struct upstream *up = start(&(struct http_client_options){0});
	struct http_response response = fetch(up, "/fault/status/429/retry-after/7");
	ck_assert_int_eq(response.status, 429);
	ck_assert_int_eq(response.hint.retry_after, 7 * WEIR_SEC);
	http_response_fini(&response);
	response = fetch(up, "/fault/status/202/retry-after/7"); /* no limit: look for the result then */
	ck_assert_int_eq(response.hint.retry_after, 0);
	http_response_fini(&response);
	response = fetch(up, "/fault/status/404");
	ck_assert_int_eq(response.status, 404);
	ck_assert_int_eq(response.hint.retry_after, 0);
	http_response_fini(&response);
	stop(up);
}

LOOP_TEST(http_takes_long_answers_with_the_small_buffers_of_many_requests)
{
	struct upstream *up = start(&(struct http_client_options){.in_flight = 100 * 1000});
	struct http_response response = fetch(up, "/json/1000000");
	ck_assert_int_eq(response.failure, HTTP_ANSWERED);
	ck_assert_uint_eq(response.body_bytes, 1000 * 1000);
	ck_assert_uint_eq(strlen(response.body), response.body_bytes);
	http_response_fini(&response);
	stop(up);
}

LOOP_TEST(http_silence_is_limited_apart_from_the_whole)
{
	struct upstream *up = start(&(struct http_client_options){.silence_timeout = 150 * WEIR_MSEC});
	expect_failure(up, "/fault/stall", HTTP_TIMEOUT, "no first byte in 150 ms");
	expect_failure(up, "/fault/stall-body", HTTP_TIMEOUT, "no byte for 150 ms");
	stop(up);
}

TEST(http_takes_variables_that_would_leak_or_load_out_of_the_environment)
{
	static const char *const names[] = {"SSLKEYLOGFILE", "OPENSSL_CONF", "OPENSSL_CONF_INCLUDE", "OPENSSL_MODULES",
					    "OPENSSL_ENGINES"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		setenv(names[i], "/nonexistent", 1);
	setenv("SSL_CERT_FILE", "mine", 1);
	ck_assert_int_eq(http_global_init(), 0);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		ck_assert_ptr_null(getenv(names[i]));
	ck_assert_str_eq(getenv("SSL_CERT_FILE"), "mine");
}

TEST(http_longer_total_lengthens_the_other_limits)
{
	static const struct {
		weir_nsec total, connect, silence;
	} rows[] = {{0, 5, 30}, {1, 5, 30}, {30, 5, 30}, {60, 10, 60}, {120, 20, 120}, {600, 100, 600}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct http_client_options opts = {.timeout = rows[i].total * WEIR_SEC};
		http_client_defaults(&opts);
		ck_assert_int_eq(opts.connect_timeout, rows[i].connect * WEIR_SEC);
		ck_assert_int_eq(opts.silence_timeout, rows[i].silence * WEIR_SEC);
	}
	struct http_client_options opts = {.timeout = 600 * WEIR_SEC, .connect_timeout = 1, .silence_timeout = 2};
	http_client_defaults(&opts);
	ck_assert_int_eq(opts.connect_timeout, 1);
	ck_assert_int_eq(opts.silence_timeout, 2);
}

/* A socket of 127.0.0.1 and its port. */
static int make_socket(unsigned *ret_port, int backlog)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &n), 0);
	if (backlog >= 0)
		ck_assert_int_eq(listen(fd, backlog), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

LOOP_TEST(http_refused_connection)
{
	struct upstream *up = start(&(struct http_client_options){0});
	unsigned port;
	int fd = make_socket(&port, -1); /* bound, not listening */
	struct http_response response = {0};
	ck_assert_int_eq(fetch_url(up->client, test_format("http://127.0.0.1:%u/", port), &response, WEIR_FOREVER), 0);
	ck_assert_int_eq(response.failure, HTTP_CONNECT);
	ck_assert_str_eq(response.detail, "refused");
	ck_assert_int_eq(response.status, 0);
	close(fd);
	stop(up);
}

LOOP_TEST(http_connecting_is_limited_apart_from_the_whole)
{
	struct upstream *up = start(&(struct http_client_options){.connect_timeout = 200 * WEIR_MSEC});
	unsigned port;
	int fd = make_socket(&port, 0), full[8];
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	for (int i = 0; i < 8; i++) { /* nobody accepts: beyond these, the system drops the handshakes */
		full[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)!connect(full[i], (struct sockaddr *)&address, sizeof address);
	}
	struct http_response response = {0};
	ck_assert_int_eq(fetch_url(up->client, test_format("http://127.0.0.1:%u/", port), &response, WEIR_FOREVER), 0);
	ck_assert_int_eq(response.failure, HTTP_TIMEOUT);
	ck_assert_str_eq(response.detail, "no connection in 200 ms");
	ck_assert_int_eq(response.clock, HTTP_CLOCK_CONNECT);
	for (int i = 0; i < 8; i++)
		close(full[i]);
	close(fd);
	stop(up);
}

LOOP_TEST(http_resolves_names)
{
	struct upstream *up = start(&(struct http_client_options){0});
	for (int i = 0; i < 3; i++) {
		struct http_response response = {0};
		const char *url = test_format("http://localhost:%u/orders/1", up->port);
		ck_assert_int_eq(fetch_url(up->client, url, &response, WEIR_FOREVER), 0);
		ck_assert_msg(response.status == 200, "%s: %s", http_failure_name(response.failure), response.detail);
		http_response_fini(&response);
	}
	struct http_response response = {0};
	ck_assert_int_eq(fetch_url(up->client, "http://no-such-host.invalid/", &response, WEIR_FOREVER), 0);
	ck_assert_int_eq(response.failure, HTTP_DNS);
	ck_assert(!response.sent);
	stop(up);
}

LOOP_TEST(http_refuses_private_addresses_however_they_are_written)
{
	struct upstream *up = start(&(struct http_client_options){.public_only = true});
	static const char *const hosts[] = {"127.0.0.1", "localhost",  "[::1]", "[::ffff:127.0.0.1]",
					    "0x7f.1",    "2130706433", "127.1", "0177.0.0.1",
					    "0",         "10.1.2.3"};
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		struct http_response response = {0};
		const char *url = test_format("http://%s:%u/orders/1", hosts[i], up->port);
		ck_assert_int_eq(fetch_url(up->client, url, &response, WEIR_FOREVER), 0);
		ck_assert_msg(response.failure == HTTP_NOT_ALLOWED, "%s: %d %s", hosts[i], response.status,
			      response.detail);
	}
	ck_assert_uint_eq(connects(up), 0);
	stop(up);
}

/* A connection that a request of the user's has opened is not there for one whose URL a server has named. */
LOOP_TEST(http_refuses_a_kept_connection_to_a_private_address)
{
	struct upstream *up = start(&(struct http_client_options){.public_foreign = true});
	const char *url = test_format("http://localhost:%u/orders/1", up->port);
	struct http_response response = {0};
	ck_assert_int_eq(fetch_url(up->client, url, &response, WEIR_FOREVER), 0);
	ck_assert_int_eq(response.status, 200);
	http_response_fini(&response);
	struct http_origin origin;
	ck_assert_ptr_null(http_origin_parse(url, &origin));
	const struct http_request request = {.method = "GET", .url = url, .origin = &origin, .is_foreign = true};
	ck_assert_int_eq(http_client_fetch(up->client, &request, &response, WEIR_FOREVER), 0);
	ck_assert_msg(response.failure == HTTP_NOT_ALLOWED, "%d %s", response.status, response.detail);
	http_response_fini(&response);
	stop(up);
}

/* ---- several at once ---- */

struct caller {
	struct upstream *up;
	const char *url;
	int result, status;
	enum http_failure failure;
	char encoding[sizeof((struct http_response *)0)->encoding];
	weir_nsec deadline;
};

static int call(void *arg)
{
	struct caller *caller = arg;
	struct http_response response = {0};
	caller->result = fetch_url(caller->up->client, caller->url, &response, caller->deadline);
	caller->status = response.status;
	caller->failure = response.failure;
	memcpy(caller->encoding, response.encoding, sizeof caller->encoding);
	http_response_fini(&response);
	return 0;
}

static struct weir_group *start_callers(struct caller *callers, size_t n, struct upstream *up, const char *path)
{
	struct weir_group *group;
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	for (size_t i = 0; i < n; i++) {
		callers[i] = (struct caller){.up = up,
					     .url = test_format("http://127.0.0.1:%u%s", up->port, path),
					     .result = 1,
					     .deadline = WEIR_FOREVER};
		ck_assert_int_eq(weir_group_spawn(group, call, &callers[i], WEIR_FOREVER), 0);
	}
	return group;
}

static struct http_figures figures_of(const struct upstream *up)
{
	struct http_figures figures;
	http_client_figures(up->client, &figures);
	return figures;
}

/* The server is full of our own connections: those are used, however many others it has just turned away. */
LOOP_TEST(http_uses_the_connections_it_has_when_a_server_takes_no_more)
{
	enum { CALLERS = 600 };
	struct upstream *up = start(&(struct http_client_options){.in_flight = CALLERS});
	struct caller *callers = calloc(CALLERS, sizeof *callers);
	int good = 0;
	up->config.max_connections = 20;
	for (int round = 0; round < 2; round++) {
		struct weir_group *group = start_callers(callers, CALLERS, up, "/orders/1");
		ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
		weir_group_free(group);
	}
	for (int i = 0; i < CALLERS; i++)
		good += callers[i].status == 200;
	ck_assert_int_ge(good, 20);
	ck_assert_int_lt(good, CALLERS);
	size_t connects = figures_of(up).connects;
	for (int i = 0; i < 20; i++) {
		struct http_response response = fetch(up, "/orders/2");
		ck_assert_int_eq(response.status, 200);
		http_response_fini(&response);
	}
	ck_assert_uint_eq(figures_of(up).connects, connects);
	free(callers);
	stop(up);
}

LOOP_TEST(http_keeps_to_its_limits_and_serves_all)
{
	struct upstream *up = start(&(struct http_client_options){.in_flight = 400, .per_host = 8});
	struct caller *callers = calloc(300, sizeof *callers);
	struct weir_group *group = start_callers(callers, 300, up, "/orders/1");
	while (weir_group_alive(group)) {
		ck_assert_uint_le(figures_of(up).in_flight, 8);
		weir_yield();
	}
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(callers[i].status, 200);
	ck_assert_uint_le(figures_of(up).connects, 8);
	ck_assert_uint_eq(figures_of(up).waiting, 0);
	weir_group_free(group);
	free(callers);
	stop(up);
}

LOOP_TEST(http_spreads_many_over_shards)
{
	struct upstream *up = start(&(struct http_client_options){.in_flight = 400});
	struct caller *callers = calloc(400, sizeof *callers);
	for (int round = 0; round < 3; round++) {
		struct weir_group *group = start_callers(callers, 400, up, "/orders/1");
		ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
		for (int i = 0; i < 400; i++)
			ck_assert_int_eq(callers[i].status, 200);
		weir_group_free(group);
	}
	ck_assert_uint_eq(figures_of(up).shards, 3);
	ck_assert_uint_le(figures_of(up).connects, 400); /* the later rounds found them open */
	free(callers);
	stop(up);
}

LOOP_TEST(http_a_cancelled_caller_leaves_nothing_behind)
{
	struct upstream *up = start(&(struct http_client_options){.in_flight = 4, .per_host = 2});
	struct caller callers[8];
	struct weir_group *group = start_callers(callers, 8, up, "/fault/stall");
	while (figures_of(up).in_flight < 2)
		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	weir_group_cancel(group);
	weir_group_wait(group, WEIR_FOREVER);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(callers[i].result, WEIR_ECANCELED);
	ck_assert_uint_eq(figures_of(up).in_flight, 0);
	ck_assert_uint_eq(figures_of(up).waiting, 0);
	weir_group_free(group);
	struct http_response response = fetch(up, "/orders/1");
	ck_assert_int_eq(response.status, 200);
	http_response_fini(&response);
	stop(up);
}

LOOP_TEST(http_a_deadline_ends_the_call_and_the_request)
{
	struct upstream *up = start(&(struct http_client_options){0});
	struct http_response response = {.status = 77};
	const char *url = test_format("http://127.0.0.1:%u/fault/stall", up->port);
	ck_assert_int_eq(fetch_url(up->client, url, &response, weir_after(50 * WEIR_MSEC)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(response.status, 77);
	ck_assert_uint_eq(figures_of(up).in_flight, 0);
	stop(up);
}

/* Starts a call to a socket of the test's own and takes its connection. */
static int accept_call(struct caller *caller, struct weir_group **ret_group, int fd)
{
	uint64_t connects_before = figures_of(caller->up).connects;
	ck_assert_int_eq(weir_group_new(NULL, ret_group), 0);
	ck_assert_int_eq(weir_group_spawn(*ret_group, call, caller, WEIR_FOREVER), 0);
	while (figures_of(caller->up).connects == connects_before)
		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	int connection = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ck_assert_int_ge(connection, 0);
	char request[2048];
	struct weir_io *io;
	ck_assert_int_eq(weir_io_open(connection, &io), 0);
	ck_assert_int_gt(weir_io_read(io, request, sizeof request, WEIR_FOREVER), 0);
	weir_io_close(io);
	return connection;
}

static void send_and_close(int connection, const char *answer)
{
	ck_assert_int_eq(write(connection, answer, strlen(answer)), (ssize_t)strlen(answer));
	close(connection);
}

LOOP_TEST(http_tls_against_a_plain_server_fails_as_tls)
{
	struct upstream *up = start(&(struct http_client_options){0});
	unsigned port;
	int fd = make_socket(&port, 4);
	struct caller caller = {.up = up, .url = test_format("https://127.0.0.1:%u/", port), .deadline = WEIR_FOREVER};
	struct weir_group *group;
	send_and_close(accept_call(&caller, &group, fd), "HTTP/1.1 400 Bad Request\r\n\r\n");
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	ck_assert_int_eq(caller.failure, HTTP_TLS);
	weir_group_free(group);
	close(fd);
	stop(up);
}

LOOP_TEST(http_refuses_lengths_that_contradict_each_other)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 7\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
	};
	struct upstream *up = start(&(struct http_client_options){0});
	unsigned port;
	int fd = make_socket(&port, 4);
	const char *url = test_format("http://127.0.0.1:%u/", port);
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		struct caller caller = {.up = up, .url = url, .deadline = WEIR_FOREVER};
		struct weir_group *group;
		send_and_close(accept_call(&caller, &group, fd), answers[i]);
		ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
		ck_assert_msg(caller.failure == HTTP_PROTOCOL, "%s: %d", answers[i], caller.failure);
		weir_group_free(group);
	}
	close(fd);
	stop(up);
}

LOOP_TEST(http_tells_an_encoding_that_nobody_asked_for)
{
	static const char *const rows[][2] = {
		{"content-encoding:  LZMA \r\n", "LZMA"},
		{"Content-Encoding: br\r\nContent-Encoding: lzma\r\n", "br, lzma"},
		{"Content-Encoding: identity\r\n", ""},
		{"Content-Encoding: a\tb, c-very-long-name-of-one\r\n", "a?b, c-very-long-name-of-one"},
		{"", ""},
	};
	struct upstream *up = start(&(struct http_client_options){0});
	unsigned port;
	int fd = make_socket(&port, 4);
	const char *url = test_format("http://127.0.0.1:%u/", port);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct caller caller = {.up = up, .url = url, .deadline = WEIR_FOREVER};
		struct weir_group *group;
		send_and_close(accept_call(&caller, &group, fd),
			       test_format("HTTP/1.1 200 OK\r\n%sContent-Length: 2\r\n\r\n{}", rows[i][0]));
		ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
		ck_assert_int_eq(caller.failure, HTTP_ANSWERED);
		ck_assert_str_eq(caller.encoding, rows[i][1]);
		weir_group_free(group);
	}
	close(fd);
	stop(up);
}

LOOP_TEST(http_finds_out_that_the_server_closed_an_idle_connection)
{
	struct upstream *up = start(&(struct http_client_options){0});
	unsigned port;
	int fd = make_socket(&port, 4);
	const char *url = test_format("http://127.0.0.1:%u/", port);
	for (int i = 0; i < 3; i++) {
		struct caller caller = {.up = up, .url = url, .deadline = WEIR_FOREVER};
		struct weir_group *group;
		int connection = accept_call(&caller, &group, fd);
		send_and_close(connection, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
		ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
		ck_assert_int_eq(caller.status, 200);
		weir_group_free(group);
	}
	close(fd);
	stop(up);
}

LOOP_TEST(http_meets_more_hosts_than_it_remembers)
{
	struct upstream *up = start(&(struct http_client_options){.in_flight = 20});
	for (unsigned i = 0; i < 10100; i++) {
		struct http_response response = {0};
		char url[64];
		snprintf(url, sizeof url, "http://127.1.%u.%u:1/", i / 250, i % 250 + 1);
		ck_assert_int_eq(fetch_url(up->client, url, &response, WEIR_FOREVER), 0);
		ck_assert_msg(response.failure == HTTP_CONNECT, "%s: %s", url, response.detail);
	}
	struct http_response response = fetch(up, "/orders/1");
	ck_assert_int_eq(response.status, 200);
	http_response_fini(&response);
	stop(up);
}
