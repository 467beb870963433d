/* SPDX-License-Identifier: MIT */
/* What the mock is told on its command line: latency, limits, capacity; and many connections at once. */
#include "unit/mocks.h"

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

LOOP_TEST(mock_server_refuses_immediately_what_is_too_much_in_flight)
{
	enum { CLIENTS = 10 };
	struct client *clients[CLIENTS];
	int good = 0;
	configure();
	ck_assert_int_eq(mock_config_latency(&config, "300ms", NULL), 0);
	ck_assert_int_eq(mock_capacity_in_flight(&config.capacity, "4", NULL), 0);
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

LOOP_TEST(mock_server_holds_many_connections)
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
