/* SPDX-License-Identifier: MIT */
/* The client of Redis against a real server; and against a socket of the test's own for what a real one does not do. */
#include "unit/fibers.h"
#include "unit/redises.h"

#include "data/secret.h"
#include "redis/url.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <weir/io.h>

/* ---- the URL */

TEST(redis_url_is_taken_apart)
{
	struct redis_url url;
	ck_assert_int_eq(redis_url_parse("redis://us%65r:p%40ss@[::1]:7000/3", &url, NULL), 0);
	ck_assert_str_eq(url.user, "user");
	ck_assert_str_eq(url.password, "p@ss");
	ck_assert_str_eq(url.host, "::1");
	ck_assert_int_eq(url.port, 7000);
	ck_assert_int_eq(url.database, 3);
	ck_assert_str_eq(url.name, "[::1]:7000");
	redis_url_fini(&url);
	ck_assert_int_eq(redis_url_parse("redis://:secret@queue.example", &url, NULL), 0);
	ck_assert(!url.user);
	ck_assert_str_eq(url.password, "secret");
	ck_assert_int_eq(url.port, REDIS_PORT);
	redis_url_fini(&url);
	ck_assert_int_eq(redis_url_parse("redis+unix:///run/redis%20a.sock?db=2", &url, NULL), 0);
	ck_assert(!url.host && !url.password);
	ck_assert_str_eq(url.path, "/run/redis a.sock");
	ck_assert_int_eq(url.database, 2);
	redis_url_fini(&url);
	secret_clear();
}

TEST(redis_url_of_tls_has_parameters)
{
	struct redis_url url;
	const char *text = "rediss://:p@h:7000/2?ca=/etc/ca%20a.pem&cert=c&key=k&password=secret&server_name=other";
	ck_assert_int_eq(redis_url_parse(text, &url, NULL), 0);
	ck_assert(url.tls && url.database == 2 && url.port == 7000);
	ck_assert_str_eq(url.ca, "/etc/ca a.pem");
	ck_assert_str_eq(url.cert, "c");
	ck_assert_str_eq(url.key, "k");
	ck_assert_str_eq(url.key_password, "secret");
	ck_assert_str_eq(url.server_name, "other");
	redis_url_fini(&url);
	ck_assert_int_eq(redis_url_parse("rediss://h", &url, NULL), 0);
	ck_assert(url.tls && !url.ca && !url.cert && url.port == REDIS_PORT);
	redis_url_fini(&url);
	secret_clear();
}

TEST(redis_url_that_is_wrong_is_refused_without_its_password)
{
	static const char *const wrong[] = {
		"http://h",
		"rediss://",
		"rediss://h?cs=x",
		"rediss://h?ca=",
		"rediss://h?ca=a&ca=b",
		"rediss://h?password=hunter22",
		"rediss://h?key=a",
		"rediss://h?ca=%",
		"redis://",
		"redis://:hunter22@",
		"redis://h:0",
		"redis://h:x",
		"redis://h/x",
		"redis://h?db=1",
		"redis://hunter22@h",
		"redis://[::1",
		"redis+unix://run",
		"redis+unix:///run?x=1",
		"redis://h:1/-1",
		"redis://a b",
		"redis://u:%zz@h",
		"redis://:hunter22@h:70000",
		"redis://u:p%00w@h:1",
		"redis://:p@@:80",
		"redis+unix:///?db=1",
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct redis_url url;
		struct weir_error err;
		ck_assert_msg(redis_url_parse(wrong[i], &url, &err) == WEIR_EINVAL, "%s", wrong[i]);
		ck_assert_ptr_eq(strstr(err.text, "hunter22"), NULL);
	}
	secret_clear();
}

/* ---- a real server */

struct counter {
	struct redis *redis;
	long long last;
	bool in_order;
};

static int count_up(void *arg)
{
	struct counter *counter = arg;
	counter->in_order = true;
	for (int i = 0; i < 50; i++) {
		redisReply *reply = SAY(counter->redis, "INCR", "n");
		counter->in_order = counter->in_order && reply->integer > counter->last;
		counter->last = reply->integer;
		freeReplyObject(reply);
	}
	return 0;
}

LOOP_TEST(redis_is_used_by_many_fibers_at_once)
{
	struct server server;
	struct redis *redis = start_server(&server, NULL, NULL);
	struct counter counters[100];
	struct weir_group *group = new_group();
	for (size_t i = 0; i < 100; i++) {
		counters[i] = (struct counter){.redis = redis};
		spawn(group, count_up, &counters[i]);
	}
	finish(group);
	for (size_t i = 0; i < 100; i++)
		ck_assert(counters[i].in_order);
	redisReply *reply = SAY(redis, "GET", "n");
	ck_assert_str_eq(reply->str, "5000");
	freeReplyObject(reply);
	ck_assert_uint_eq(redis_connections(redis), 1);
	stop_server(&server, redis);
}

LOOP_TEST(redis_carries_any_bytes_and_large_ones)
{
	struct server server;
	struct redis *redis = start_server(&server, NULL, NULL);
	const size_t n = (size_t)5 << 20;
	char *bytes = malloc(n);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i * 31 >> 3);
	struct redis_command command = {0};
	redis_add_text(&command, "ECHO");
	redis_add(&command, bytes, n);
	redisReply *reply;
	ck_assert_int_eq(redis_call(redis, &command, &reply, NULL, WEIR_FOREVER), 0);
	ck_assert(reply->len == n && !memcmp(reply->str, bytes, n));
	freeReplyObject(reply);
	redis_command_fini(&command);
	free(bytes);
	stop_server(&server, redis);
}

LOOP_TEST(redis_script_is_sent_where_it_is_missing)
{
	struct server server;
	struct redis *redis = start_server(&server, NULL, NULL);
	struct redis_script script;
	redis_script_init(&script, "return ARGV[1] + redis.call('INCR', KEYS[1])");
	struct redis_command rest = {0};
	redis_add_number(&rest, 1);
	redis_add_text(&rest, "n");
	redis_add_number(&rest, 100);
	for (int i = 1; i <= 4; i++) {
		redisReply *reply;
		ck_assert_int_eq(redis_eval(redis, &script, &rest, &reply, NULL, WEIR_FOREVER), 0);
		ck_assert_int_eq(reply->integer, 100 + i);
		freeReplyObject(reply);
		if (i == 2)
			freeReplyObject(SAY(redis, "SCRIPT", "FLUSH"));
	}
	redis_command_fini(&rest);
	stop_server(&server, redis);
}

LOOP_TEST(redis_errors_say_whether_it_was_done)
{
	struct server server;
	struct redis *redis = start_server(&server, NULL, NULL);
	struct weir_error err;
	redisReply *reply;
	ck_assert_int_eq(TRY_WORDS(redis, &reply, &err, "NONSENSE"), WEIR_EDATA);
	ck_assert_ptr_ne(strstr(err.text, "unknown command"), NULL);
	freeReplyObject(SAY(redis, "CONFIG", "SET", "maxmemory", "1"));
	ck_assert_int_eq(TRY_WORDS(redis, &reply, &err, "SET", "a", "b"), WEIR_ENOSPC);
	freeReplyObject(SAY(redis, "CONFIG", "SET", "maxmemory", "0"));
	freeReplyObject(SAY(redis, "CONFIG", "SET", "min-replicas-to-write", "1"));
	ck_assert_int_eq(TRY_WORDS(redis, &reply, &err, "SET", "a", "b"), WEIR_EBUSY);
	stop_server(&server, redis);
}

LOOP_TEST(redis_call_that_is_left_does_not_spoil_the_next)
{
	struct server server;
	struct redis *redis = start_server(&server, NULL, NULL);
	struct redis_command command = {0};
	redisReply *reply;
	redis_add_text(&command, "INCR");
	redis_add_text(&command, "n");
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(redis_call(redis, &command, &reply, NULL, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(redis_call(redis, &command, &reply, NULL, WEIR_FOREVER), 0);
	ck_assert_int_eq(reply->integer, 201);
	freeReplyObject(reply);
	redis_command_fini(&command);
	stop_server(&server, redis);
}

static int wait_long(void *arg)
{
	redisReply *reply;
	return TRY_WORDS(arg, &reply, NULL, "BLPOP", "nothing", "0");
}

LOOP_TEST(redis_call_can_be_cancelled)
{
	struct server server;
	struct redis *redis = start_server(&server, NULL, NULL);
	struct weir_group *group = new_group();
	spawn(group, wait_long, redis);
	settle();
	weir_group_cancel(group);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
	stop_server(&server, redis);
}

/* Calls until it works. */
static void ping_again(struct redis *redis, struct weir_error *err)
{
	redisReply *reply;
	int code;
	while ((code = TRY_WORDS(redis, &reply, err, "PING"))) {
		ck_assert_int_eq(code, WEIR_EBUSY);
		ck_assert_int_eq(weir_sleep(5 * WEIR_MSEC), 0);
	}
	freeReplyObject(reply);
}

LOOP_TEST(redis_is_connected_to_again)
{
	struct server server;
	struct redis *redis = start_server(&server, NULL, NULL);
	struct weir_group *group = new_group();
	int waited = UNANSWERED;
	struct weir_error err = {0};
	const struct weir_spawn_options opts = {.ret_result = &waited};
	ck_assert_int_eq(weir_group_spawn_with(group, &opts, wait_long, redis, WEIR_FOREVER), 0);
	settle();
	kill_server(&server);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), WEIR_EIO);
	ck_assert_int_eq(waited, WEIR_EIO);
	weir_group_free(group);
	redisReply *reply;
	ck_assert_int_eq(TRY_WORDS(redis, &reply, &err, "PING"), WEIR_EBUSY);
	ck_assert_ptr_ne(strstr(err.text, server.socket), NULL);
	launch_server(&server, NULL, NULL);
	ping_again(redis, &err);
	ck_assert_uint_eq(redis_connections(redis), 2);
	stop_server(&server, redis);
}

LOOP_TEST(redis_logs_in_and_hides_the_password)
{
	struct server server = {.socket = test_format("%s/redis.sock", test_folder())};
	launch_server(&server, "--requirepass", "geheim77");
	struct redis *redis = open_redis(
		&(struct redis_options){.url = test_format("redis+unix://:geheim77@%s?db=5", server.socket)});
	freeReplyObject(SAY(redis, "ACL", "SETUSER", "worker", "on", ">anders88", "~weir:*", "+@all"));
	redisReply *info = SAY(redis, "CLIENT", "INFO");
	ck_assert_ptr_ne(strstr(info->str, " db=5 "), NULL);
	freeReplyObject(info);
	struct redis *other = open_redis(
		&(struct redis_options){.url = test_format("redis+unix://worker:anders88@%s", server.socket)});
	redisReply *reply;
	ck_assert_int_eq(TRY_WORDS(other, &reply, NULL, "GET", "elsewhere"), WEIR_EDATA);
	redis_close(other);
	static const char *const logins[][2] = {{":falsch99@", "does not accept"}, {"", "wants a password"}};
	for (int i = 0; i < 2; i++) {
		struct weir_error err;
		const char *url = test_format("redis+unix://%s%s", logins[i][0], server.socket);
		ck_assert_int_eq(redis_open(&(struct redis_options){.url = url}, &other, &err, WEIR_FOREVER),
				 WEIR_EDATA);
		ck_assert_ptr_ne(strstr(err.text, logins[i][1]), NULL);
		ck_assert_ptr_eq(strstr(err.text, "falsch99"), NULL);
	}
	stop_server(&server, redis);
	secret_clear();
}

LOOP_TEST(redis_that_is_a_replica_is_refused)
{
	struct server server;
	struct redis *redis = start_server(&server, NULL, NULL), *other;
	struct weir_error err;
	redisReply *reply;
	freeReplyObject(SAY(redis, "REPLICAOF", "127.0.0.1", "1"));
	int code = redis_open(&(struct redis_options){.url = server.url}, &other, &err, WEIR_FOREVER);
	ck_assert_int_eq(code, WEIR_EDATA);
	ck_assert_ptr_ne(strstr(err.text, "replica"), NULL);
	ck_assert_int_eq(
		redis_open(&(struct redis_options){.url = server.url, .replica = true}, &other, &err, WEIR_FOREVER), 0);
	redis_close(other);
	/* One that has become a replica is left, for another server may have the address next. */
	ck_assert_int_eq(TRY_WORDS(redis, &reply, &err, "SET", "a", "b"), WEIR_EBUSY);
	other = open_redis(&(struct redis_options){.url = server.url, .replica = true});
	freeReplyObject(SAY(other, "REPLICAOF", "NO", "ONE"));
	redis_close(other);
	ping_again(redis, &err);
	stop_server(&server, redis);
}

/* ---- a server of the test's own: answers with texts in turn, one for each time that something came */

struct fake {
	const char *socket;
	const char *const *answers; /* of the next connection.  NULL: says nothing, and waits for the end; "": closes */
	int listener, reads;        /* reads: so often something came */
};

static const char hello[] = "*4\r\n$7\r\nversion\r\n$5\r\n7.2.4\r\n$4\r\nrole\r\n$6\r\nmaster\r\n";

static void play(struct fake *fake, int fd)
{
	struct weir_io *io;
	char bytes[4096];
	ck_assert_int_eq(weir_io_open(fd, &io), 0);
	for (const char *const *answer = fake->answers; weir_io_read(io, bytes, sizeof bytes, WEIR_FOREVER) > 0;
	     answer += *answer != NULL) {
		fake->reads++;
		if (*answer && !**answer)
			break;
		if (*answer && weir_io_write(io, *answer, strlen(*answer), WEIR_FOREVER))
			break;
	}
	weir_io_close(io);
}

static int serve_fake(void *arg)
{
	struct fake *fake = arg;
	struct weir_io *io;
	ck_assert_int_eq(weir_io_open(fake->listener, &io), 0);
	while (weir_io_wait(io, WEIR_READABLE, WEIR_FOREVER) > 0) {
		int fd = accept4(fake->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		play(fake, fd);
		close(fd);
	}
	weir_io_close(io);
	return 0;
}

static struct weir_group *start_fake(struct fake *fake, const char *const *answers)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct weir_group *group = new_group();
	*fake = (struct fake){.socket = test_format("%s/fake.sock", test_folder()), .answers = answers};
	snprintf(address.sun_path, sizeof address.sun_path, "%s", fake->socket);
	unlink(fake->socket);
	fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fake->listener, (struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(fake->listener, 8), 0);
	spawn(group, serve_fake, fake);
	return group;
}

static void stop_fake(struct fake *fake, struct weir_group *group)
{
	weir_group_cancel(group);
	finish(group);
	close(fake->listener);
}

/* On a port of this machine, which "localhost" may stand for last. */
static unsigned move_to_port(struct fake *fake)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, n), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &n), 0);
	if (fake) {
		ck_assert_int_eq(listen(fd, 8), 0);
		ck_assert_int_eq(dup2(fd, fake->listener), fake->listener);
	}
	close(fd);
	return ntohs(address.sin_port);
}

static struct redis_options options_of(const struct fake *fake)
{
	return (struct redis_options){.url = test_format("redis+unix://%s", fake->socket)};
}

LOOP_TEST(redis_is_found_by_name_and_port)
{
	static const char *const answers[] = {hello, "+PONG\r\n", NULL};
	struct fake fake;
	struct weir_error err;
	struct weir_group *group = start_fake(&fake, answers);
	struct redis_options opts = {.url = test_format("redis://localhost:%u", move_to_port(&fake))};
	struct redis *redis = open_redis(&opts);
	freeReplyObject(SAY(redis, "PING"));
	ck_assert_str_eq(redis_name(redis), opts.url + strlen("redis://"));
	redis_close(redis);
	stop_fake(&fake, group);
	opts.url = test_format("redis://:hunter22@127.0.0.1:%u", move_to_port(NULL));
	ck_assert_int_eq(redis_open(&opts, &redis, &err, WEIR_FOREVER), -ECONNREFUSED);
	ck_assert_ptr_ne(strstr(err.text, "127.0.0.1:"), NULL);
	ck_assert_ptr_eq(strstr(err.text, "hunter22"), NULL);
	secret_clear();
}

LOOP_TEST(redis_that_is_too_old_is_refused)
{
	static const char *const fakes[][3] = {
		{"*4\r\n$7\r\nversion\r\n$5\r\n6.2.1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n", NULL, "6.2.1"},
		{"-ERR unknown command 'HELLO'\r\n", NULL, "older than version 7.0"},
		{"HTTP/1.1 400 Bad Request\r\n\r\n", NULL, "no answer of Redis"},
		{"", NULL, "closed the connection"},
		{"-NOPERM geheim77 may not\r\n", NULL, "refuses the connection: NOPERM *** may not"},
	};
	secret_add("geheim77", 8);
	for (size_t i = 0; i < sizeof fakes / sizeof *fakes; i++) {
		struct fake fake;
		struct weir_error err;
		struct redis *redis;
		struct weir_group *group = start_fake(&fake, fakes[i]);
		const struct redis_options opts = options_of(&fake);
		ck_assert_int_lt(redis_open(&opts, &redis, &err, WEIR_FOREVER), 0);
		if (!strstr(err.text, fakes[i][2]))
			ck_abort_msg("%s", err.text);
		stop_fake(&fake, group);
	}
	secret_clear();
}

LOOP_TEST(redis_that_does_not_answer_has_a_limit)
{
	static const char *const silent[] = {NULL};
	struct fake fake;
	struct weir_error err;
	struct redis *redis;
	struct weir_group *group = start_fake(&fake, silent);
	struct redis_options opts = options_of(&fake);
	opts.connect = 50 * WEIR_MSEC;
	ck_assert_int_eq(redis_open(&opts, &redis, &err, WEIR_FOREVER), WEIR_EIO);
	ck_assert_ptr_ne(strstr(err.text, weir_strerror(WEIR_ETIMEDOUT)), NULL);
	stop_fake(&fake, group);
}

/* What comes after HELLO, and how the first call ends then. */
static void expect_end(const char *answer, struct redis_options opts, int code, const char *text)
{
	const char *const answers[] = {hello, answer, NULL};
	struct fake fake;
	struct weir_error err;
	redisReply *reply;
	struct weir_group *group = start_fake(&fake, answers);
	opts.url = options_of(&fake).url;
	struct redis *redis = open_redis(&opts);
	ck_assert_int_eq(TRY_WORDS(redis, &reply, &err, "PING"), code);
	if (!strstr(err.text, text))
		ck_abort_msg("%s", err.text);
	redis_close(redis);
	stop_fake(&fake, group);
}

LOOP_TEST(redis_answers_are_bounded)
{
	expect_end("$100000\r\n0123456789", (struct redis_options){.most_bytes = 8}, WEIR_EIO, "too large");
	expect_end("*2000000000\r\n", (struct redis_options){0}, WEIR_EIO, "too many elements");
	expect_end("*11\r\n", (struct redis_options){.most_elements = 10}, WEIR_EIO, "too many elements");
	expect_end("!what\r\n", (struct redis_options){0}, WEIR_EIO, "no answer of Redis");
	expect_end("$5\r\nab", (struct redis_options){.patience = 30 * WEIR_MSEC}, WEIR_EIO, "does not answer");
	expect_end("", (struct redis_options){0}, WEIR_EIO, "closed the connection");
	expect_end("-LOADING a moment\r\n", (struct redis_options){0}, WEIR_EBUSY, "LOADING");
}

struct sending {
	struct redis *redis;
	struct redis_command command;
	int code;
};

static int send_it(void *arg)
{
	struct sending *sending = arg;
	redisReply *reply;
	sending->code = redis_call(sending->redis, &sending->command, &reply, NULL, WEIR_FOREVER);
	return 0;
}

/* The server reads 4,096 bytes of the first command, far less than its whole, and closes: of the second one nothing was
 * sent. */
LOOP_TEST(redis_call_that_was_not_sent_was_surely_not_done)
{
	static const char *const answers[] = {hello, "", NULL};
	struct fake fake;
	struct weir_group *server = start_fake(&fake, answers), *group = new_group();
	const struct redis_options opts = options_of(&fake);
	struct sending first = {.redis = open_redis(&opts)}, second = {.redis = first.redis};
	const size_t n = (size_t)8 << 20;
	char *bytes = calloc(1, n);
	redis_add(&first.command, bytes, n);
	redis_add_text(&second.command, "PING");
	spawn(group, send_it, &first);
	spawn(group, send_it, &second);
	finish(group);
	ck_assert_int_eq(first.code, WEIR_EIO);
	ck_assert_int_eq(second.code, WEIR_EBUSY);
	redis_command_fini(&first.command);
	redis_command_fini(&second.command);
	free(bytes);
	redis_close(first.redis);
	stop_fake(&fake, server);
}

/* While the client logs in again it takes no calls: if that fails, those would be answered on the next connection, with
 * what belongs to others. */
LOOP_TEST(redis_call_while_it_logs_in_again_is_refused)
{
	static const char *const ends[] = {hello, "", NULL}, *const silent[] = {NULL};
	static const char *const works[] = {hello, "+mine\r\n", NULL};
	struct fake fake;
	struct weir_error err;
	redisReply *reply;
	struct weir_group *server = start_fake(&fake, ends);
	struct redis_options opts = options_of(&fake);
	opts.connect = 200 * WEIR_MSEC;
	struct redis *redis = open_redis(&opts);
	fake.answers = silent;
	ck_assert_int_eq(TRY_WORDS(redis, &reply, &err, "PING"), WEIR_EIO);
	while (fake.reads < 3) /* HELLO, PING, HELLO */
		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	struct redis_command command = {0};
	redis_add_text(&command, "PING");
	ck_assert_int_eq(redis_call(redis, &command, &reply, &err, weir_after(20 * WEIR_MSEC)), WEIR_EBUSY);
	redis_command_fini(&command);
	fake.answers = works;
	int code;
	while ((code = TRY_WORDS(redis, &reply, &err, "PING")) == WEIR_EBUSY)
		ck_assert_int_eq(weir_sleep(5 * WEIR_MSEC), 0);
	ck_assert_int_eq(code, 0);
	ck_assert_str_eq(reply->str, "mine");
	freeReplyObject(reply);
	redis_close(redis);
	stop_fake(&fake, server);
}
