/* SPDX-License-Identifier: MIT */
/* The client, against a real server and, for what a real one does not do, a fake. */
#include "postgres/client/client.h"
#include "support/test.h"
#include "unit/postgres.h"

#include "data/secret.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir/weir.h>

static struct pg_error pg_err;

static struct pg *open_with(const struct pg_options *opts)
{
	struct pg *pg = NULL;
	struct weir_error err = {0};
	ck_assert_msg(pg_open(opts, &pg, &err) == 0, "%s", err.text);
	return pg;
}

static struct pg *open_url(const char *url)
{
	return open_with(&(struct pg_options){.url = url, .name = "tests"});
}

static int do_code(struct pg *pg, const char *sql)
{
	pg_err = (struct pg_error){0};
	return pg_do(pg, sql, NULL, &pg_err, WEIR_FOREVER);
}

static void do_well(struct pg *pg, const char *sql)
{
	int code = do_code(pg, sql);
	ck_assert_msg(code == 0, "%s: %s: %s", sql, weir_strerror(code), pg_err.text);
}

/* The first column of the first row. */
static const char *ask(struct pg *pg, const char *sql)
{
	struct pg_result *result = NULL;
	int code = pg_do(pg, sql, &result, &pg_err, WEIR_FOREVER);
	ck_assert_msg(code == 0, "%s: %s: %s", sql, weir_strerror(code), pg_err.text);
	const char *text = test_format("%s", pg_text(result, 0, 0) ? pg_text(result, 0, 0) : "NULL");
	pg_free(result);
	return text;
}

/* ---- whose fault */

TEST(postgres_faults_are_told_apart_by_their_state)
{
	static const struct {
		const char *state;
		enum pg_fault fault;
		int code;
	} cases[] = {
		{"22P02", PG_ROW, WEIR_EDATA},      {"23505", PG_ROW, WEIR_EDATA},      {"21000", PG_ROW, WEIR_EDATA},
		{"44000", PG_ROW, WEIR_EDATA},      {"54000", PG_ROW, WEIR_EDATA},      {"P0001", PG_ROW, WEIR_EDATA},
		{"40P01", PG_CONFLICT, WEIR_EBUSY}, {"40001", PG_CONFLICT, WEIR_EBUSY}, {"53100", PG_FULL, WEIR_ENOSPC},
		{"53200", PG_ODD, WEIR_EIO},        {"53300", PG_BUSY, WEIR_EBUSY},     {"55P03", PG_BUSY, WEIR_EBUSY},
		{"57P01", PG_BUSY, WEIR_EBUSY},     {"25006", PG_BUSY, WEIR_EBUSY},     {"08006", PG_BUSY, WEIR_EBUSY},
		{"28P01", PG_FILE, WEIR_EINVAL},    {"3D000", PG_FILE, WEIR_EINVAL},    {"42501", PG_FILE, WEIR_EINVAL},
		{"42P01", PG_FILE, WEIR_EINVAL},    {"XX000", PG_ODD, WEIR_EIO},        {"ZZ999", PG_OTHER, WEIR_EIO},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_int_eq(pg_fault_of(cases[i].state), cases[i].fault);
		ck_assert_int_eq(pg_code_of(cases[i].fault), cases[i].code);
	}
}

TEST(postgres_urls_are_checked_without_a_connection)
{
	static const struct {
		const char *url;
		int code;
		const char *text;
	} cases[] = {
		{"postgres://me@localhost/db", 0, ""},
		{"postgresql:///db?host=/run/postgresql", 0, ""},
		{"postgres://127.0.0.1,localhost/db", 0, ""},
		{"postgres://db.example/x?sslmode=verify-full", 0, ""},
		{"postgres://db.example/x", 1, "sslmode=prefer"},
		{"postgres://localhost,db.example/x?sslmode=require", 1, "sslmode=require"},
		{"postgres:///x?hostaddr=192.0.2.1", 1, "192.0.2.1"},
		{"host=localhost", WEIR_EINVAL, "expected a URL"},
		{"http://localhost/", WEIR_EINVAL, "expected a URL"},
		{"postgres://localhost/x?sslmod=require", WEIR_EINVAL, "sslmod"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct weir_error err = {0};
		ck_assert_msg(pg_check_url(cases[i].url, &err) == cases[i].code, "%s: %s", cases[i].url, err.text);
		ck_assert_msg(strstr(err.text, cases[i].text), "%s: %s", cases[i].url, err.text);
	}
}

/* ---- statements */

LOOP_TEST(postgres_answers_statements)
{
	struct pg *pg = open_url(postgres_url());
	struct pg_statement sum = {.sql = "SELECT $1::int8 + $2::int8, $3::text", .parameters = 3};
	struct pg_value values[] = {{"9007199254740993", 0, false}, {"1", 0, false}, {NULL, 0, false}};
	struct pg_result *result = NULL;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(pg_run(pg, &sum, values, &result, &pg_err, WEIR_FOREVER), 0);
		ck_assert_int_eq(pg_rows(result), 1);
		ck_assert_str_eq(pg_text(result, 0, 0), "9007199254740994");
		ck_assert_ptr_null(pg_text(result, 0, 1));
		ck_assert_int_eq(pg_number(result, 0, 0), 9007199254740994);
		pg_free(result);
	}
	ck_assert_str_eq(ask(pg, "SELECT count(*) FROM pg_prepared_statements"), "1");
	ck_assert_str_eq(ask(pg, "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"),
			 "weir/tests");
	do_well(pg, "CREATE TABLE t AS SELECT generate_series(1, 7) AS n");
	ck_assert_int_eq(pg_do(pg, "UPDATE t SET n = 0 WHERE n > 4", &result, &pg_err, WEIR_FOREVER), 0);
	ck_assert_int_eq(pg_affected(result), 3);
	pg_free(result);
	ck_assert_uint_eq(pg_connections(pg), 1);
	pg_close(pg);
}

LOOP_TEST(postgres_prepares_nothing_for_a_pooler)
{
	struct pg *pg = open_with(&(struct pg_options){.url = postgres_url(), .unprepared = true});
	struct pg_statement one = {.sql = "SELECT count(*) FROM pg_prepared_statements WHERE $1::int = 1",
				   .parameters = 1};
	struct pg_value value = {"1", 0, false};
	for (int i = 0; i < 2; i++) {
		struct pg_result *result = NULL;
		ck_assert_int_eq(pg_run(pg, &one, &value, &result, &pg_err, WEIR_FOREVER), 0);
		ck_assert_int_eq(pg_number(result, 0, 0), 0);
		pg_free(result);
	}
	pg_close(pg);
}

LOOP_TEST(postgres_has_several_statements_on_their_way)
{
	struct pg *pg = open_url(postgres_url());
	struct pg_statement echo = {.sql = "SELECT $1::text", .parameters = 1};
	struct pg_call calls[5];
	for (int i = 0; i < 5; i++) {
		struct pg_value value = {test_format("%d", i), 0, false};
		ck_assert_int_eq(pg_send(pg, &echo, &value, &calls[i], &pg_err, WEIR_FOREVER), 0);
	}
	for (int i = 4; i >= 0; i--) {
		struct pg_result *result = NULL;
		ck_assert_int_eq(pg_receive(pg, &calls[i], &result, &pg_err, WEIR_FOREVER), 0);
		ck_assert_int_eq(pg_number(result, 0, 0), i);
		pg_free(result);
	}
	pg_close(pg);
}

/* Larger than what a socket takes: the server answers before it has read all. */
LOOP_TEST(postgres_sends_and_receives_megabytes_at_a_time)
{
	struct pg *pg = open_url(postgres_url());
	struct pg_statement echo = {.sql = "SELECT $1::text", .parameters = 1};
	size_t n = 8u << 20;
	char *text = malloc(n + 1);
	struct pg_call calls[3];
	memset(text, 'x', n);
	text[n] = 0;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(
			pg_send(pg, &echo, &(struct pg_value){text, n, false}, &calls[i], &pg_err, WEIR_FOREVER), 0);
	for (int i = 0; i < 3; i++) {
		struct pg_result *result = NULL;
		ck_assert_int_eq(pg_receive(pg, &calls[i], &result, &pg_err, WEIR_FOREVER), 0);
		ck_assert_uint_eq(pg_length(result, 0, 0), n);
		pg_free(result);
	}
	free(text);
	pg_close(pg);
}

LOOP_TEST(postgres_says_what_is_wrong_with_a_statement_and_continues)
{
	struct pg *pg = open_url(postgres_url());
	struct pg_statement bad = {.sql = "SELECT $1::int FROM missing", .parameters = 1};
	struct pg_value value = {"1", 0, false};
	do_well(pg, "CREATE TABLE t (id int NOT NULL, n int CHECK (n > 0))");
	ck_assert_int_eq(do_code(pg, "INSERT INTO t VALUES (NULL, 1)"), WEIR_EDATA);
	ck_assert_str_eq(pg_err.state, "23502");
	ck_assert_str_eq(pg_err.column, "id");
	ck_assert_int_eq(pg_err.fault, PG_ROW);
	ck_assert_int_eq(do_code(pg, "INSERT INTO t VALUES ('x', 1)"), WEIR_EDATA);
	ck_assert_msg(strstr(pg_err.text, "invalid input syntax for type integer: \"x\""), "%s", pg_err.text);
	ck_assert_int_eq(do_code(pg, "SELECT FROM"), WEIR_EINVAL);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pg_run(pg, &bad, &value, NULL, &pg_err, WEIR_FOREVER), WEIR_EINVAL);
		ck_assert_str_eq(pg_err.state, "42P01");
	}
	do_well(pg, "CREATE TABLE missing ()");
	ck_assert_int_eq(pg_run(pg, &bad, &value, NULL, &pg_err, WEIR_FOREVER), 0);
	ck_assert_str_eq(ask(pg, "SELECT count(*) FROM t"), "0");
	ck_assert_uint_eq(pg_connections(pg), 1);
	pg_close(pg);
}

static const char *text_of_fiber;

struct asker {
	struct pg *pg;
	int number;
};

static int ask_many(void *arg)
{
	const struct asker *asker = arg;
	struct pg_statement echo = {.sql = "SELECT $1::text, pg_sleep(0.001)", .parameters = 1};
	for (int i = 0; i < 20; i++) {
		struct pg_result *result = NULL;
		struct pg_error err;
		struct pg_value value = {test_format("%d", asker->number * 100 + i), 0, false};
		ck_assert_int_eq(pg_run(asker->pg, &echo, &value, &result, &err, WEIR_FOREVER), 0);
		ck_assert_int_eq(pg_number(result, 0, 0), asker->number * 100 + i);
		pg_free(result);
	}
	return 0;
}

LOOP_TEST(postgres_serves_several_fibers_over_one_connection)
{
	struct pg *pg = open_url(postgres_url());
	struct asker askers[5];
	struct weir_group_part parts[5] = {{0}};
	for (int i = 0; i < 5; i++) {
		askers[i] = (struct asker){pg, i + 1};
		parts[i] = (struct weir_group_part){.fn = ask_many, .arg = &askers[i]};
	}
	ck_assert_int_eq(weir_group_run(parts, 5, WEIR_FOREVER), 0);
	ck_assert_uint_eq(pg_connections(pg), 1);
	pg_close(pg);
}

/* ---- giving up */

LOOP_TEST(postgres_throws_away_an_answer_that_nobody_waits_for)
{
	struct pg *pg = open_url(postgres_url());
	struct pg_result *result = NULL;
	do_well(pg, "CREATE TABLE t (n int)");
	ck_assert_int_eq(
		pg_do(pg, "INSERT INTO t SELECT 1 FROM pg_sleep(0.3)", NULL, &pg_err, weir_now() + 50 * WEIR_MSEC),
		WEIR_ETIMEDOUT);
	ck_assert_str_eq(ask(pg, "SELECT count(*) FROM t"), "1");
	ck_assert_int_eq(pg_do(pg, "SELECT pg_sleep(30)", &result, &pg_err, weir_now() + 50 * WEIR_MSEC),
			 WEIR_ETIMEDOUT);
	pg_disconnect(pg);
	ck_assert_str_eq(ask(pg, "SELECT 'again'"), "again");
	ck_assert_uint_eq(pg_connections(pg), 2);
	pg_close(pg);
}

static int sleep_on_server(void *arg)
{
	struct pg_error err;
	int code = pg_do(arg, "SELECT pg_sleep(30)", NULL, &err, WEIR_FOREVER);
	text_of_fiber = test_format("%s", err.text);
	return code;
}

static int cancel_soon(void *arg)
{
	ck_assert_int_eq(weir_sleep(50 * WEIR_MSEC), 0);
	weir_group_cancel(arg);
	return 0;
}

LOOP_TEST(postgres_can_be_cancelled_while_it_waits)
{
	struct pg *pg = open_url(postgres_url());
	struct weir_group *group;
	int result = 1;
	const struct weir_spawn_options opts = {.ret_result = &result};
	ck_assert_int_eq(pg_connect(pg, &pg_err, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	ck_assert_int_eq(weir_group_spawn_with(group, &opts, sleep_on_server, pg, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_group_spawn(group, cancel_soon, group, WEIR_FOREVER), 0);
	weir_group_wait(group, WEIR_FOREVER);
	weir_group_free(group);
	ck_assert_int_eq(result, WEIR_ECANCELED);
	pg_close(pg);
}

/* ---- servers that go away */

LOOP_TEST(postgres_connects_again_after_the_server_was_killed)
{
	struct pg *pg = open_url(postgres_own_url());
	struct pg_call call;
	struct pg_statement sleep = {.sql = "SELECT pg_sleep(30)"};
	do_well(pg, "CREATE TABLE t (n int)");
	ck_assert_int_eq(pg_send(pg, &sleep, NULL, &call, &pg_err, WEIR_FOREVER), 0);
	postgres_verb("kill", NULL);
	ck_assert_int_eq(pg_receive(pg, &call, NULL, &pg_err, WEIR_FOREVER), WEIR_EBUSY);
	ck_assert_msg(strstr(pg_err.text, "lost the connection to weir@127.0.0.1:"), "%s", pg_err.text);
	ck_assert_int_eq(do_code(pg, "SELECT 1"), WEIR_EBUSY);
	ck_assert_int_eq(pg_err.fault, PG_AWAY);
	ck_assert_msg(strstr(pg_err.text, "Connection refused"), "%s", pg_err.text);
	postgres_verb("start", NULL);
	ck_assert_str_eq(ask(pg, "SELECT count(*) FROM t"), "0");
	ck_assert_uint_eq(pg_connections(pg), 2);
	pg_close(pg);
}

LOOP_TEST(postgres_counts_a_session_that_was_ended_as_away)
{
	struct pg *pg = open_url(postgres_url());
	ask(pg, "SELECT 1");
	postgres_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir/tests'"
		     " AND datname = current_database()");
	int code = do_code(pg, "SELECT 1");
	ck_assert_msg(code == WEIR_EBUSY, "%s: %s", weir_strerror(code), pg_err.text);
	ck_assert_str_eq(ask(pg, "SELECT 2"), "2");
	pg_close(pg);
}

/* ---- connections that cannot be */

static void expect_refused(const char *url, int code, enum pg_fault fault, const char *text)
{
	struct pg *pg = open_url(url);
	pg_err = (struct pg_error){0};
	int got = pg_connect(pg, &pg_err, WEIR_FOREVER);
	ck_assert_msg(got == code && pg_err.fault == fault, "%s: %s: %s", url, weir_strerror(got), pg_err.text);
	ck_assert_msg(strstr(pg_err.text, text), "%s: %s", pg_err.text, text);
	ck_assert_msg(!strstr(pg_err.text, "canary"), "%s", pg_err.text);
	pg_close(pg);
}

/* The URL of the tests with one part changed. */
static const char *changed_url(const char *part, const char *other)
{
	const char *url = postgres_url(), *at = strstr(url, part);
	ck_assert_ptr_nonnull(at);
	return test_format("%.*s%s%s", (int)(at - url), url, other, at + strlen(part));
}

LOOP_TEST(postgres_says_why_it_cannot_connect)
{
	expect_refused(changed_url("canary-pg-secret", "canary-wrong"), WEIR_EINVAL, PG_FILE,
		       "password authentication failed for user \"weir\" (28P01); check user and password");
	expect_refused(changed_url("weir:canary-pg-secret", "nobody:canary-wrong"), WEIR_EINVAL, PG_FILE,
		       "as nobody@127.0.0.1");
	expect_refused(changed_url("/test_", "/no_"), WEIR_EINVAL, PG_FILE,
		       "does not exist (3D000); create the database");
	expect_refused("postgres://127.0.0.1:1/x", WEIR_EBUSY, PG_AWAY, "127.0.0.1:1/x: Connection refused");
	expect_refused("postgres://no.such.host.invalid/x", WEIR_EBUSY, PG_AWAY, "host no.such.host.invalid: ");
	expect_refused("postgres:///x?host=/nowhere", WEIR_EBUSY, PG_AWAY, "No such file");
	expect_refused("postgres://a,b/x?port=1,2,3", WEIR_EINVAL, PG_FILE, "2 hosts");
}

LOOP_TEST(postgres_tries_each_host_of_a_list)
{
	const char *url = changed_url("127.0.0.1:", "127.0.0.1:1,localhost:");
	struct pg *pg = open_url(url);
	ck_assert_str_eq(ask(pg, "SELECT 1"), "1");
	ck_assert_msg(strstr(pg_place(pg), "@localhost:"), "%s", pg_place(pg));
	pg_close(pg);
}

LOOP_TEST(postgres_wants_a_server_that_takes_writes_unless_it_only_reads)
{
	postgres_sql("ALTER DATABASE %s SET default_transaction_read_only = on", strrchr(postgres_url(), '/') + 1);
	expect_refused(postgres_url(), WEIR_EBUSY, PG_AWAY, "session is read-only; it is a standby");
	struct pg *pg = open_with(&(struct pg_options){.url = postgres_url(), .reads = true});
	ck_assert_str_eq(ask(pg, "SELECT 1"), "1");
	pg_close(pg);
}

/* Its handshake wants more stack than a fiber has. */
LOOP_TEST(postgres_talks_tls_and_checks_who_answers)
{
	const char *folder = postgres_own(), *url = postgres_own_url(), *at = strchr(url, '@') + 1;
	postgres_verb("tls", NULL);
	const char *user = test_format("%.*s", (int)(at - url), url), *rest = at + strlen("127.0.0.1");
	const char *more = test_format("?sslmode=verify-full&sslrootcert=%s/ca.pem", folder);
	struct pg *pg = open_url(test_format("%slocalhost%s%s", user, rest, more));
	ck_assert_str_eq(ask(pg, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), "t");
	ck_assert_str_eq(ask(pg, "SELECT length(repeat('x', 1000000))"), "1000000");
	pg_close(pg);
	expect_refused(test_format("%s127.0.0.1%s%s", user, rest, more), WEIR_EINVAL, PG_FILE, "certificate");
	expect_refused(test_format("%slocalhost%s?sslmode=verify-full&sslrootcert=/nowhere", user, rest), WEIR_EINVAL,
		       PG_FILE, "root certificate file");
	expect_refused(test_format("%slocalhost%s?sslmode=full", user, rest), WEIR_EINVAL, PG_FILE,
		       "invalid sslmode value");
}

/* ---- fakes */

struct fake {
	int fd;
	const char *answer; /* to whoever connects; NULL: nothing */
	size_t n;
};

static const char *fake_url(struct fake *fake, const char *more)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof at;
	fake->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fake->fd, (struct sockaddr *)&at, sizeof at), 0);
	ck_assert_int_eq(listen(fake->fd, 8), 0);
	ck_assert_int_eq(getsockname(fake->fd, (struct sockaddr *)&at, &size), 0);
	return test_format("postgres://me@127.0.0.1:%d/x?sslmode=disable%s", ntohs(at.sin_port), more);
}

/* Answers the start of one connection, then nothing more. */
static int serve_fake(void *arg)
{
	struct fake *fake = arg;
	struct weir_io *io, *client;
	char bytes[2000];
	ck_assert_int_eq(weir_io_open(fake->fd, &io), 0);
	ck_assert_int_gt(weir_io_wait(io, WEIR_READABLE, WEIR_FOREVER), 0);
	int fd = accept4(fake->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(weir_io_open(fd, &client), 0);
	ck_assert_int_gt(weir_io_read(client, bytes, sizeof bytes, WEIR_FOREVER), 8);
	if (fake->answer)
		ck_assert_int_eq(weir_io_write(client, fake->answer, fake->n, WEIR_FOREVER), 0);
	while (weir_io_read(client, bytes, sizeof bytes, WEIR_FOREVER) > 0)
		;
	weir_io_close(client);
	weir_io_close(io);
	close(fd);
	return 0;
}

static int refused_by_fake(void *arg)
{
	const char *const *expected = arg;
	expect_refused(expected[0], strcmp(expected[2], "file") ? WEIR_EBUSY : WEIR_EINVAL,
		       strcmp(expected[2], "file") ? PG_AWAY : PG_FILE, expected[1]);
	return 0;
}

static void run_with_fake(struct fake *fake, const char *more, const char *text, const char *fault)
{
	const char *expected[] = {fake_url(fake, more), text, fault};
	struct weir_group_part parts[] = {{.fn = serve_fake, .arg = fake}, {.fn = refused_by_fake, .arg = expected}};
	ck_assert_int_eq(weir_group_run(parts, 2, WEIR_FOREVER), 0);
	close(fake->fd);
}

/* AuthenticationOk, ParameterStatus, BackendKeyData, ReadyForQuery; a version has four bytes. */
#define HELLO(version)                                                                                                 \
	"R\0\0\0\x08\0\0\0\0"                                                                                          \
	"S\0\0\0\x18server_version\0" version "\0"                                                                     \
	"S\0\0\0\x26"                                                                                                  \
	"default_transaction_read_only\0off\0"                                                                         \
	"S\0\0\0\x17in_hot_standby\0off\0"                                                                             \
	"K\0\0\0\x0c\0\0\0\x01\0\0\0\x02"                                                                              \
	"Z\0\0\0\x05I"

static const char hello_of_11[] = HELLO("11.5"), hello_of_15[] = HELLO("15.1");

LOOP_TEST(postgres_refuses_a_server_of_version_11)
{
	struct fake fake = {.answer = hello_of_11, .n = sizeof hello_of_11 - 1};
	run_with_fake(&fake, "&target_session_attrs=any", "is PostgreSQL 11.5; weir needs 12 or later", "file");
}

LOOP_TEST(postgres_gives_up_on_a_server_that_says_nothing)
{
	struct fake fake = {0};
	run_with_fake(&fake, "&connect_timeout=1", "no answer in time; check host and port", "away");
}

/* The next `starting` connections are told that the server is starting. */
struct starting {
	struct fake fake;
	int starting, served;
};

static void answer_one(struct starting *self, int fd)
{
	static const char words[] = "SFATAL\0"
				    "VFATAL\0"
				    "C57P03\0"
				    "Mthe database system is starting up\0";
	struct weir_io *client;
	char bytes[2000], error[5 + sizeof words] = {'E', 0, 0, 0, 4 + sizeof words};
	bool starts = self->served++ < self->starting;
	memcpy(error + 5, words, sizeof words);
	ck_assert_int_eq(weir_io_open(fd, &client), 0);
	ck_assert_int_gt(weir_io_read(client, bytes, sizeof bytes, WEIR_FOREVER), 8);
	ck_assert_int_eq(weir_io_write(client, starts ? error : self->fake.answer, starts ? sizeof error : self->fake.n,
				       WEIR_FOREVER),
			 0);
	while (weir_io_read(client, bytes, sizeof bytes, WEIR_FOREVER) > 0)
		;
	weir_io_close(client);
	close(fd);
}

static int serve_starting(void *arg)
{
	struct starting *self = arg;
	struct weir_io *io;
	ck_assert_int_eq(weir_io_open(self->fake.fd, &io), 0);
	while (weir_io_wait(io, WEIR_READABLE, WEIR_FOREVER) > 0) {
		int fd = accept4(self->fake.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		answer_one(self, fd);
	}
	weir_io_close(io);
	return 0;
}

static int connect_to_starting(void *arg)
{
	struct pg *pg = open_url(arg);
	int code = pg_connect(pg, &pg_err, WEIR_FOREVER);
	pg_close(pg);
	return code;
}

static int run_starting(struct starting *self, const char *more)
{
	const struct weir_spawn_options server = {.background = true};
	struct weir_group *group;
	void *url = (void *)(uintptr_t)fake_url(&self->fake, more);
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	ck_assert_int_eq(weir_group_spawn_with(group, &server, serve_starting, self, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_group_spawn(group, connect_to_starting, url, WEIR_FOREVER), 0);
	int code = weir_group_wait(group, WEIR_FOREVER);
	weir_group_free(group);
	close(self->fake.fd);
	return code;
}

LOOP_TEST(postgres_waits_for_a_server_that_starts)
{
	struct starting soon = {.fake = {.answer = hello_of_15, .n = sizeof hello_of_15 - 1}, .starting = 3};
	ck_assert_int_eq(run_starting(&soon, "&connect_timeout=60&target_session_attrs=any"), 0);
	ck_assert_int_eq(soon.served, 4);
	struct starting late = {.starting = INT_MAX};
	ck_assert_int_eq(run_starting(&late, "&connect_timeout=1"), WEIR_EBUSY);
	ck_assert_int_eq(pg_err.fault, PG_BUSY);
	ck_assert_msg(strstr(pg_err.text, "is starting up (57P03); try again when it has started"), "%s", pg_err.text);
}

/* ---- what others may see */

LOOP_TEST(postgres_sockets_are_not_inherited)
{
	struct pg *pg = open_url(postgres_url());
	ask(pg, "SELECT 1");
	DIR *dir = opendir("/proc/self/fd");
	int sockets = 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		char target[200] = "";
		if (readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1) < 0 ||
		    strncmp(target, "socket:", 7) != 0)
			continue;
		sockets++;
		ck_assert_int_eq(fcntl(atoi(entry->d_name), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	}
	closedir(dir);
	ck_assert_int_ge(sockets, 1);
	pg_close(pg);
}

LOOP_TEST(postgres_hides_the_password_of_its_url)
{
	char text[] = "they say canary-pg-secret to all";
	struct pg *pg = open_url(postgres_url());
	secret_hide_text(text);
	ck_assert_str_eq(text, "they say *** to all");
	pg_close(pg);
	secret_clear();
}
