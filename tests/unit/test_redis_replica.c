/* SPDX-License-Identifier: MIT */
/* A queue whose items count as read only once a replica has them (`wait`), with a real one. */
#include "unit/redis_brokers.h"

static struct redis *start_replica(struct server *server, struct redis *primary)
{
	const char *port = test_format("%d", free_port());
	freeReplyObject(SAY(primary, "CONFIG", "SET", "bind", "127.0.0.1", "port", port));
	freeReplyObject(SAY(primary, "CONFIG", "SET", "repl-diskless-sync-delay", "0"));
	server->socket = test_format("%s/replica.sock", test_folder());
	server->url = test_format("redis+unix://%s", server->socket);
	launch_server(server, NULL, NULL);
	struct redis *redis = open_redis(&(struct redis_options){.url = server->url});
	freeReplyObject(SAY(redis, "REPLICAOF", "127.0.0.1", port));
	return redis;
}

static void expect_length(struct redis *redis, long long n)
{
	redisReply *reply = SAY(redis, "XLEN", KEY "fresh:0");
	ck_assert_int_eq(reply->integer, n);
	freeReplyObject(reply);
}

/* Puts item 2 after a connection was lost, which says so once. */
static void put_over_a_new_connection(struct broker *broker)
{
	int code;
	while ((code = put_range(broker, 2, 2, WEIR_FOREVER)) == WEIR_EBUSY && !strstr(err.text, "replicas"))
		weir_sleep(5 * WEIR_MSEC);
	ck_assert_int_eq(code, WEIR_EBUSY);
}

/* Puts again for as long as the replica lacks the item: it may take its time. */
static void put_until_replicated(struct broker *broker, uint64_t item)
{
	while (put_range(broker, item, item, WEIR_FOREVER))
		ck_assert_ptr_nonnull(strstr(err.text, "replicas"));
}

LOOP_TEST(redis_broker_waits_for_replicas)
{
	struct server server, replica_server;
	struct redis *redis = begin_server(&server);
	config.wait = 1;
	struct broker *a = open_worker("", "source");
	ck_assert_int_eq(put_range(a, 1, 1, WEIR_FOREVER), WEIR_EBUSY);
	ck_assert_ptr_nonnull(strstr(err.text, "only 0 of 1 replicas of Redis at "));
	/* They are in the queue, once, and count when the replica has them. */
	struct redis *replica = start_replica(&replica_server, redis);
	put_until_replicated(a, 1);
	expect_length(replica, 1);
	ck_assert_int_eq(kill(replica_server.pid, SIGSTOP), 0);
	ck_assert_int_eq(put_range(a, 2, 2, WEIR_FOREVER), WEIR_EBUSY);
	freeReplyObject(SAY(redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"));
	put_over_a_new_connection(a);
	ck_assert_int_eq(kill(replica_server.pid, SIGCONT), 0);
	put_until_replicated(a, 2);
	expect_length(replica, 2);
	ck_assert_int_eq(kill(replica_server.pid, SIGSTOP), 0);
	ck_assert_int_eq(ops->queue.seal(a, &err, WEIR_FOREVER), WEIR_EBUSY);
	ck_assert_int_eq(kill(replica_server.pid, SIGCONT), 0);
	ack_one(a, lease_one(a));
	ack_one(a, lease_one(a));
	while (ops->queue.seal(a, &err, WEIR_FOREVER))
		ck_assert_ptr_nonnull(strstr(err.text, "replicas"));
	check_end(a, 2, 2, 0);
	close_worker(a);
	stop_server(&replica_server, replica);
	stop_server(&server, redis);
}
