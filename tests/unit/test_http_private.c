/* SPDX-License-Identifier: MIT */
/* Requests that may not go to private addresses: whatever was looked up, and whoever opened the connection. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/group.h>
#include <weir/io.h>

#include "http/client.h"
#include "http/flow.h"
#include "http/origin.h"
#include "http/transfer.h"
#include "mock/server.h"
#include "support/test.h"

struct upstream {
	struct mock_config config;
	struct mock_server *server;
	struct weir_group *group;
	unsigned port;
};

static struct upstream *start(void)
{
	struct upstream *up = calloc(1, sizeof *up);
	mock_config_init(&up->config);
	address_set_port(&up->config.listen, 0);
	ck_assert_int_eq(mock_server_new(&up->config, &up->server, NULL), 0);
	up->port = address_port(mock_server_address(up->server));
	ck_assert_int_eq(weir_group_new(&(struct weir_group_options){.flags = WEIR_GROUP_COLLECT}, &up->group), 0);
	ck_assert_int_eq(weir_group_spawn(up->group, mock_server_run, up->server, WEIR_FOREVER), 0);
	ck_assert_int_eq(http_global_init(), 0);
	return up;
}

static void stop(struct upstream *up)
{
	weir_group_cancel(up->group);
	weir_group_wait(up->group, WEIR_FOREVER);
	weir_group_free(up->group);
	mock_server_free(up->server);
	mock_config_fini(&up->config);
	free(up);
}

static void expect_refused(struct http_response *response)
{
	ck_assert_msg(response->failure == HTTP_NOT_ALLOWED, "%d %s", response->status, response->detail);
	ck_assert_str_eq(response->detail, HTTP_PRIVATE);
	ck_assert_int_eq(response->status, 0);
	http_response_fini(response);
}

static void expect_answered(struct http_response *response)
{
	ck_assert_msg(response->status == 200, "%s %s", http_failure_name(response->failure), response->detail);
	http_response_fini(response);
}

/* ---- transfers: what is connected to, not what was looked up, counts ---- */

static bool ended;

static void on_heard(struct http_transfer *transfer)
{
	(void)transfer;
}

static void on_done(struct http_transfer *transfer, struct http_response *response)
{
	(void)transfer, (void)response;
	ended = true;
}

struct rig {
	struct upstream *up;
	struct http_transfers *all;
	struct http_transfer *transfer;
	struct http_response responses[3];
};

/* The name stands for this machine now, whatever it stood for when it was checked. */
static void ask(struct rig *rig, bool is_foreign, struct http_response *response)
{
	const char *url = test_format("http://rebound.example:%u/orders/1", rig->up->port);
	struct http_origin origin;
	struct http_flow flow = {0};
	struct weir_io *io;
	ck_assert_ptr_null(http_origin_parse(url, &origin));
	const struct http_request request = {.method = "GET", .url = url, .origin = &origin, .is_foreign = is_foreign};
	const struct http_route route = {.dialled = &origin, .addresses = "127.0.0.1"};
	ck_assert_int_eq(weir_io_open(http_transfers_fd(rig->all), &io), 0);
	ck_assert_int_eq(http_transfer_start(rig->transfer, &request, &route, &flow, response), 0);
	for (ended = false; !ended;) {
		http_transfers_run(rig->all);
		weir_nsec due = http_transfers_deadline(rig->all);
		if (!ended && (due == WEIR_FOREVER || due > weir_now()))
			weir_io_wait(io, WEIR_READABLE, due);
		else
			weir_yield();
	}
	weir_io_close(io);
}

static int drive(void *arg)
{
	struct rig *rig = arg;
	ask(rig, true, &rig->responses[0]);
	ask(rig, false, &rig->responses[1]);
	ask(rig, true, &rig->responses[2]); /* there is an open connection */
	return 0;
}

LOOP_TEST(http_private_address_behind_a_public_name_is_refused_when_it_is_connected_to)
{
	static const struct http_transfer_events events = {.heard = on_heard, .done = on_done};
	static const struct weir_spawn_options large = {.name = "driver", .stack_bytes = (size_t)256 * 1024};
	struct http_client_options opts = {.public_foreign = true};
	struct rig rig = {.up = start()};
	struct weir_group *group;
	http_client_defaults(&opts);
	ck_assert_int_eq(http_transfers_new(&opts, &events, &rig.all), 0);
	ck_assert_int_eq(http_transfer_new(rig.all, &rig.transfer), 0);
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	ck_assert_int_eq(weir_group_spawn_with(group, &large, drive, &rig, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
	expect_refused(&rig.responses[0]);
	expect_answered(&rig.responses[1]);
	expect_refused(&rig.responses[2]);
	ck_assert_uint_eq(mock_server_stats(rig.up->server)->requests, 1);
	http_transfers_free(rig.all);
	stop(rig.up);
}

/* ---- the client: a host of the config that a redirect names, too ---- */

static struct http_response fetch(struct http_client *client, const char *url, bool is_foreign)
{
	struct http_response response = {0};
	struct http_origin origin;
	ck_assert_ptr_null(http_origin_parse(url, &origin));
	const struct http_request request = {.method = "GET", .url = url, .origin = &origin, .is_foreign = is_foreign};
	ck_assert_int_eq(http_client_fetch(client, &request, &response, WEIR_FOREVER), 0);
	return response;
}

LOOP_TEST(http_private_host_of_the_config_is_refused_to_a_redirect_and_to_nobody_else)
{
	struct upstream *up = start();
	struct http_client *client;
	ck_assert_int_eq(http_client_new(&(struct http_client_options){.public_foreign = true}, &client), 0);
	const char *const hosts[] = {"127.0.0.1", "localhost", "127.1", "0x7f000001"};
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		const char *url = test_format("http://%s:%u/orders/1", hosts[i], up->port);
		struct http_response response;
		for (unsigned k = 0; k < 4; k++) { /* in each order, looked up or not */
			response = fetch(client, url, (k + i) % 2);
			if ((k + i) % 2)
				expect_refused(&response);
			else
				expect_answered(&response);
		}
	}
	ck_assert_uint_eq(mock_server_stats(up->server)->requests, 2 * sizeof hosts / sizeof *hosts);
	http_client_free(client);
	stop(up);
}

/* A name that is looked up: that of this machine. */
LOOP_TEST(http_lookup_for_a_redirect_is_none_for_the_config)
{
	char name[250] = "";
	gethostname(name, sizeof name - 1);
	const char *url = test_format("http://%s:1/", name);
	struct http_client *client;
	ck_assert_int_eq(http_global_init(), 0);
	ck_assert_int_eq(http_client_new(&(struct http_client_options){.public_foreign = true}, &client), 0);
	struct http_response first = fetch(client, url, true), second = fetch(client, url, false);
	bool is_private = first.failure == HTTP_NOT_ALLOWED;
	ck_assert_msg(!is_private || second.failure != HTTP_NOT_ALLOWED, "%s: %s", name, second.detail);
	http_response_fini(&first);
	http_response_fini(&second);
	http_client_free(client);
}
