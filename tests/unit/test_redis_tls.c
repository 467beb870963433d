/* SPDX-License-Identifier: MIT */
/* The client of Redis over TLS, against a real server, with certificates of the test's own authority. */
#include "unit/redises.h"

/* In the test's folder: an authority; certificates of it that are good, of another host, and out of date; and a key
 * with a password. */
static const char make_certificates[] =
	"exec >/dev/null 2>&1; set -e; cd %s;"
	"key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; };"
	"key ca; openssl req -x509 -key ca.key -subj /CN=authority -days 2 -out ca.pem;"
	"make() { key $1; openssl req -new -key $1.key -subj /CN=$1 -out $1.csr; echo subjectAltName=$2 >$1.ext;"
	" openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days $3 -out $1.pem -extfile $1.ext; "
	"};"
	"make good IP:127.0.0.1,DNS:redis.example 2; make other DNS:other.example 2; make expired IP:127.0.0.1 -1;"
	"openssl ec -in good.key -aes128 -passout pass:hunter22 -out locked.key";

static const char *file(const char *name)
{
	return test_format("%s/%s", test_folder(), name);
}

/* A server with the certificate NAME.pem, which asks for one if `asks`: its port. */
static int start_tls(struct server *server, const char *name, bool asks)
{
	int port = free_port();
	server->socket = file(test_format("%s.sock", name));
	server->pid = fork();
	ck_assert_int_ge(server->pid, 0);
	if (!server->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("redis-server", "redis-server", "--port", "0", "--tls-port", test_format("%d", port), "--bind",
		       "127.0.0.1", "--unixsocket", server->socket, "--save", "", "--dir", test_folder(), "--logfile",
		       file("redis.log"), "--tls-cert-file", file(test_format("%s.pem", name)), "--tls-key-file",
		       file(test_format("%s.key", name)), "--tls-ca-cert-file", file("ca.pem"), "--tls-auth-clients",
		       asks ? "yes" : "no", (char *)NULL);
		_exit(127);
	}
	redis_close(open_redis(
		&(struct redis_options){.url = test_format("redis+unix://%s", server->socket)})); /* it is there */
	return port;
}

static void expect_refused_within(const char *url, weir_nsec time, const char *text)
{
	struct redis *redis = NULL;
	struct weir_error err = {0};
	int code = redis_open(&(struct redis_options){.url = url, .connect = time}, &redis, &err, WEIR_FOREVER);
	ck_assert_msg(code == WEIR_EDATA || code == WEIR_EIO, "%s", weir_strerror(code));
	ck_assert_msg(strstr(err.text, text), "%s\nexpected %s", err.text, text);
	ck_assert_ptr_null(strstr(err.text, "hunter22"));
}

static void expect_refused(const char *url, const char *text)
{
	expect_refused_within(url, 20 * WEIR_SEC, text);
}

static void expect_good(const char *url)
{
	const size_t n = (size_t)3 << 20;
	struct redis *redis = open_redis(&(struct redis_options){.url = url, .connect = 20 * WEIR_SEC});
	struct redis_command command = {0};
	redisReply *reply;
	char *bytes = malloc(n);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i * 31 >> 3);
	redis_add_text(&command, "ECHO");
	redis_add(&command, bytes, n);
	ck_assert_int_eq(redis_call(redis, &command, &reply, NULL, WEIR_FOREVER), 0);
	ck_assert(reply->len == n && !memcmp(reply->str, bytes, n));
	freeReplyObject(reply);
	redis_command_fini(&command);
	free(bytes);
	redis_close(redis);
}

LOOP_TEST(redis_over_tls_verifies_the_server)
{
	struct server server;
	ck_assert_int_eq(system(test_format(make_certificates, test_folder())), 0);
	int port = start_tls(&server, "good", false);
	const char *url = test_format("rediss://127.0.0.1:%d", port), *ca = file("ca.pem");
	expect_good(test_format("%s?ca=%s", url, ca));
	expect_good(test_format("%s?ca=%s&server_name=redis.example", url, ca));
	expect_refused(url, "; ca in the URL names the file with the authority to trust");
	expect_refused(test_format("%s?ca=%s&server_name=x.example", url, ca),
		       "; server_name in the URL is the name to expect instead");
	expect_refused(test_format("%s?ca=%s", url, file("nowhere")), "cannot use the certificates in ");
	expect_refused(test_format("%s?ca=%s&cert=%s", url, ca, file("good.csr")), "cannot use the certificate in ");
	kill_server(&server);

	port = start_tls(&server, "other", false);
	expect_refused(test_format("rediss://127.0.0.1:%d?ca=%s", port, ca), "server_name in the URL");
	kill_server(&server);
	port = start_tls(&server, "expired", false);
	expect_refused(test_format("rediss://127.0.0.1:%d?ca=%s", port, ca), "certificate has expired; its owner");
	kill_server(&server);
}

LOOP_TEST(redis_over_tls_shows_its_certificate)
{
	struct server server;
	ck_assert_int_eq(system(test_format(make_certificates, test_folder())), 0);
	int port = start_tls(&server, "good", true);
	const char *url = test_format("rediss://127.0.0.1:%d/1?ca=%s", port, file("ca.pem"));
	expect_refused(url, "name its file with cert in the URL");
	const char *with = test_format("%s&cert=%s", url, file("good.pem"));
	expect_good(test_format("%s&key=%s", with, file("good.key")));
	expect_good(test_format("%s&key=%s&password=hunter22", with, file("locked.key")));
	expect_refused(test_format("%s&key=%s&password=hunter23", with, file("locked.key")),
		       "cannot use the private key in ");
	expect_refused(test_format("%s&key=%s", with, file("other.key")), "cannot use the private key in ");
	kill_server(&server);
}

LOOP_TEST(redis_over_tls_reconnects_and_says_where_there_is_no_tls)
{
	struct server server;
	redisReply *reply;
	struct weir_error err;
	ck_assert_int_eq(system(test_format(make_certificates, test_folder())), 0);
	int port = start_tls(&server, "good", false);
	struct redis *redis = open_redis(
		&(struct redis_options){.url = test_format("rediss://127.0.0.1:%d?ca=%s", port, file("ca.pem"))});
	freeReplyObject(SAY(redis, "SET", "a", "1"));
	ck_assert_int_eq(TRY_WORDS(redis, &reply, &err, "CLIENT", "KILL", "SKIPME", "no"), WEIR_EIO);
	while (TRY_WORDS(redis, &reply, &err, "GET", "a"))
		ck_assert_int_eq(weir_sleep(5 * WEIR_MSEC), 0);
	ck_assert_str_eq(reply->str, "1");
	freeReplyObject(reply);
	ck_assert_uint_eq(redis_connections(redis), 2);
	freeReplyObject(SAY(redis, "CONFIG", "SET", "tls-port", "0"));
	freeReplyObject(SAY(redis, "CONFIG", "SET", "port", test_format("%d", port)));
	expect_refused_within(test_format("rediss://127.0.0.1:%d", port), 200 * WEIR_MSEC,
			      "; without TLS the URL begins with redis://");
	redis_close(redis);
	kill_server(&server);
}
