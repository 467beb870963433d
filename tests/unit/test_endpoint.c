/* SPDX-License-Identifier: MIT */
/* The endpoint, read by clients that block: it has a thread of its own. */
#include "support/test.h"

#include "data/address.h"
#include "observe/access.h"
#include "observe/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct endpoint *endpoint;
static char answer[64 << 10];

static void start_with(const struct endpoint_options *opts)
{
	struct weir_error err = {0};
	ck_assert_msg(endpoint_start(opts, &endpoint, &err) == 0, "%s", err.text);
}

static void start(void)
{
	start_with(&(struct endpoint_options){.listen = "127.0.0.1:0", .stall = 3600 * WEIR_SEC});
}

static void publish(enum endpoint_page page, const char *text)
{
	ck_assert_int_eq(endpoint_publish(endpoint, page, text, strlen(text)), 0);
}

static int dial(void)
{
	struct address address;
	ck_assert(address_read(endpoint_url(endpoint) + strlen("http://"), &address));
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, &address.any, address.bytes), 0);
	return fd;
}

static void send_text(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Reads until the answer holds `text`, or to the end with NULL.  Of a long one the end is kept. */
static void read_until(int fd, const char *text)
{
	size_t n = 0;
	answer[0] = 0;
	while (!text || !strstr(answer, text)) {
		ssize_t got = read(fd, answer + n, sizeof answer - 1 - n);
		if (got <= 0 && !text)
			break;
		ck_assert_msg(got > 0, "no '%s' in: %.500s", text ? text : "", answer);
		n += (size_t)got;
		if (n > sizeof answer / 2) {
			memmove(answer, answer + n - 100, 100);
			n = 100;
		}
		answer[n] = 0;
	}
}

/* The status of one request, with its whole answer in `answer`. */
static int ask(const char *method, const char *path, const char *headers)
{
	char text[16 << 10];
	int fd = dial(), status = 0;
	snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nConnection: close\r\n%s\r\n", method, path, headers);
	send_text(fd, text);
	read_until(fd, NULL);
	close(fd);
	sscanf(answer, "HTTP/1.1 %d", &status);
	return status;
}

static int get(const char *path)
{
	return ask("GET", path, "Host: localhost\r\n");
}

#define expect_body(text) ck_assert_msg(strstr(answer, "\r\n\r\n" text), "%s", answer)

TEST(endpoint_serves_what_was_published_last)
{
	start();
	ck_assert_int_eq(get("/metrics"), 503);
	expect_body("starting");
	publish(ENDPOINT_TEXT, "one 1\n");
	publish(ENDPOINT_TEXT, "one 2\n");
	publish(ENDPOINT_OPENMETRICS, "one 2\n# EOF\n");
	publish(ENDPOINT_STATUS, "{\"read\":2}");
	ck_assert_int_eq(get("/metrics"), 200);
	expect_body("one 2\n");
	ck_assert_ptr_nonnull(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	ck_assert_int_eq(
		ask("GET", "/metrics", "Host: [::1]:80\r\nAccept: application/openmetrics-text;version=1.0.0\r\n"),
		200);
	expect_body("one 2\n# EOF\n");
	ck_assert_int_eq(get("/api/v1/status"), 200);
	expect_body("{\"read\":2}");
	ck_assert_int_eq(ask("HEAD", "/metrics", "Host: 127.0.0.1\r\n"), 200);
	ck_assert_ptr_nonnull(strstr(answer, "Content-Length: 6\r\n"));
	endpoint_stop(endpoint);
}

TEST(endpoint_refuses_what_it_does_not_have)
{
	char header[12 << 10];
	start();
	ck_assert_int_eq(get("/"), 404);
	expect_body("there are /metrics, ");
	ck_assert_int_eq(ask("POST", "/metrics", "Host: localhost\r\nContent-Length: 0\r\n"), 405);
	ck_assert_ptr_nonnull(strstr(answer, "Allow: GET, HEAD\r\n"));
	snprintf(header, sizeof header, "Host: localhost\r\nX: %010000d\r\n", 0);
	ck_assert_int_eq(ask("GET", "/metrics", header), 431);
	endpoint_stop(endpoint);
}

TEST(endpoint_says_why_a_run_is_not_ready)
{
	start();
	ck_assert_int_eq(get("/readyz"), 503);
	expect_body("starting\n");
	endpoint_beat(endpoint, "the broker is away");
	ck_assert_int_eq(get("/readyz"), 503);
	expect_body("the broker is away\n");
	endpoint_beat(endpoint, NULL);
	ck_assert_int_eq(get("/readyz"), 200);
	ck_assert_int_eq(get("/healthz"), 200);
	endpoint_stop(endpoint);
}

TEST(endpoint_answers_while_the_loop_is_stalled)
{
	start_with(&(struct endpoint_options){.listen = "[::1]:0", .stall = 1});
	publish(ENDPOINT_TEXT, "one 1\n");
	endpoint_beat(endpoint, NULL);
	ck_assert_int_eq(get("/readyz"), 503);
	expect_body("the loop has stalled for ");
	ck_assert_int_eq(get("/metrics"), 200);
	endpoint_stop(endpoint);
}

TEST(endpoint_streams_each_publication_and_ends)
{
	char *large = malloc(20001);
	start();
	int fd = dial();
	send_text(fd, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
	read_until(fd, "Content-Type: text/event-stream\r\n");
	publish(ENDPOINT_STATUS, "{\"read\":1}");
	read_until(fd, "data: {\"read\":1}\n\n");
	memset(large, 'x', 20000);
	large[20000] = 0;
	publish(ENDPOINT_STATUS, large);
	read_until(fd, "xx\n\n");
	publish(ENDPOINT_STATUS, "{\"read\":3}");
	read_until(fd, "data: {\"read\":3}\n\n");
	endpoint_stop(endpoint);
	read_until(fd, NULL);
	close(fd);
	free(large);
}

TEST(endpoint_gives_a_slow_stream_the_newest)
{
	start();
	int fd = dial();
	send_text(fd, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
	for (int i = 0; i < 100000; i++)
		publish(ENDPOINT_STATUS, i < 99999 ? "{\"read\":1}" : "{\"read\":\"last\"}");
	read_until(fd, "{\"read\":\"last\"}\n\n");
	close(fd);
	endpoint_stop(endpoint);
}

TEST(endpoint_bounds_its_streams)
{
	int fds[ENDPOINT_STREAMS];
	start();
	for (int i = 0; i < ENDPOINT_STREAMS; i++) {
		fds[i] = dial();
		send_text(fds[i], "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
		read_until(fds[i], "200 OK");
	}
	ck_assert_int_eq(get("/events"), 503);
	expect_body("too many readers of /events");
	for (int i = 0; i < ENDPOINT_STREAMS; i++)
		close(fds[i]);
	endpoint_stop(endpoint);
}

/* The silent ones make room for one more each time. */
TEST(endpoint_is_not_kept_busy_by_silent_connections)
{
	enum { SILENT = 10 * ENDPOINT_CONNECTIONS };
	static int fds[SILENT];
	start();
	publish(ENDPOINT_TEXT, "one 1\n");
	for (int i = 0; i < SILENT; i++) {
		fds[i] = dial();
		if (i % 2)
			send_text(fds[i], "GET /met");
	}
	ck_assert_int_eq(get("/metrics"), 200);
	for (int i = 0; i < SILENT; i++)
		close(fds[i]);
	endpoint_stop(endpoint);
}

TEST(endpoint_takes_another_port_when_its_own_is_taken)
{
	struct endpoint *first;
	start();
	first = endpoint;
	start_with(&(struct endpoint_options){.listen = endpoint_url(first) + strlen("http://"), .stall = WEIR_SEC});
	ck_assert_str_ne(endpoint_url(first), endpoint_url(endpoint));
	ck_assert_int_eq(get("/healthz"), 200);
	endpoint_stop(endpoint);
	endpoint_stop(first);
}

TEST(endpoint_keeps_strangers_out)
{
	start_with(&(struct endpoint_options){.listen = "127.0.0.1:0", .token = "s3cret", .stall = WEIR_SEC});
	publish(ENDPOINT_TEXT, "one 1\n");
	ck_assert_int_eq(get("/metrics"), 401);
	ck_assert_ptr_nonnull(strstr(answer, "WWW-Authenticate: Bearer"));
	ck_assert_int_eq(ask("GET", "/metrics", "Host: a.example\r\nAuthorization: Bearer s3cret\r\n"), 200);
	ck_assert_int_eq(get("/healthz"), 200);
	ck_assert_int_eq(ask("GET", "/healthz", "Host: localhost\r\nOrigin: http://evil.example\r\n"), 403);
	endpoint_stop(endpoint);
}

TEST(endpoint_access_is_decided_by_host_origin_and_token)
{
	static const struct {
		const char *host, *origin, *authorization, *token;
		enum access access;
	} rows[] = {
		{"127.0.0.1:1", NULL, NULL, NULL, ACCESS_GRANTED},
		{"[::1]", NULL, NULL, NULL, ACCESS_GRANTED},
		{"LocalHost:80", "http://localhost:80", NULL, NULL, ACCESS_GRANTED},
		{NULL, NULL, NULL, NULL, ACCESS_FOREIGN_HOST},
		{"", NULL, NULL, NULL, ACCESS_FOREIGN_HOST},
		{"evil.example:80", NULL, NULL, NULL, ACCESS_FOREIGN_HOST},
		{"127.0.0.1.evil.example", NULL, NULL, NULL, ACCESS_FOREIGN_HOST},
		{"localhost.evil.example", NULL, NULL, NULL, ACCESS_FOREIGN_HOST},
		{"127.0.0.1:1", "null", NULL, NULL, ACCESS_FOREIGN_ORIGIN},
		{"127.0.0.1:1", "http://127.0.0.1:2", NULL, NULL, ACCESS_FOREIGN_ORIGIN},
		{"127.0.0.1:1", "https://127.0.0.1:1", NULL, NULL, ACCESS_FOREIGN_ORIGIN},
		{"weir.example", NULL, "Bearer t0ken", "t0ken", ACCESS_GRANTED},
		{"weir.example", NULL, "bearer t0ken", "t0ken", ACCESS_GRANTED},
		{"weir.example", NULL, "Bearer t0ke", "t0ken", ACCESS_NO_TOKEN},
		{"weir.example", NULL, "Bearer t0kent0ken", "t0ken", ACCESS_NO_TOKEN},
		{"weir.example", NULL, "Bearer ", "t0ken", ACCESS_NO_TOKEN},
		{"weir.example", NULL, NULL, "t0ken", ACCESS_NO_TOKEN},
		{"weir.example", "http://evil.example", "Bearer t0ken", "t0ken", ACCESS_FOREIGN_ORIGIN},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		ck_assert_msg(
			access_check(&(struct access_request){rows[i].host, rows[i].origin, rows[i].authorization},
				     rows[i].token) == rows[i].access,
			"row %zu", i);
}
