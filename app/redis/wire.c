/* SPDX-License-Identifier: MIT */
#include "redis/wire.h"

#include "data/secret.h"
#include "redis/command.h"
#include "redis/connect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir/io.h>

enum { OLDEST_MAJOR = 7 };

/* The number of elements comes before them: so a few bytes could ask for any memory. */
static void *make_bounded_array(const redisReadTask *task, int elements)
{
	const struct redis_wire *wire = task->privdata;
	return (size_t)elements > wire->most_elements ? NULL : wire->make_array(task, elements);
}

static int new_reader(struct redis_wire *wire)
{
	wire->reader = redisReaderCreate();
	if (!wire->reader)
		return WEIR_ENOMEM;
	wire->make_array = wire->reader->fn->createArray;
	wire->functions = *wire->reader->fn;
	wire->functions.createArray = make_bounded_array;
	wire->reader->fn = &wire->functions;
	wire->reader->privdata = wire;
	return 0;
}

int redis_wire_lose(struct redis_wire *wire, int code, const char *what)
{
	return weir_error_set(&wire->trouble, code, "Redis at %s %s", wire->url->name, what);
}

int redis_wire_lose_to(struct redis_wire *wire, int code)
{
	if (code == WEIR_ECANCELED)
		return code;
	return weir_error_set(&wire->trouble, WEIR_EIO, "lost the connection to Redis at %s: %s", wire->url->name,
			      weir_strerror(code));
}

static int feed(struct redis_wire *wire, const char *bytes, size_t n)
{
	wire->unfinished += n;
	return redisReaderFeed(wire->reader, bytes, n) == REDIS_OK ? 0 : redis_wire_lose_to(wire, WEIR_ENOMEM);
}

/* Of n bytes in `in`, which is used again for what they say. */
static int unseal(struct redis_wire *wire, size_t n)
{
	if (redis_tls_feed(wire->tls, wire->in, n))
		return redis_wire_lose_to(wire, WEIR_ENOMEM);
	for (;;) {
		ssize_t got = redis_tls_read(wire->tls, wire->in, sizeof wire->in, &wire->trouble);
		if (got == WEIR_ECLOSED)
			return redis_wire_lose(wire, WEIR_EIO, "closed the connection");
		if (got <= 0)
			return (int)got;
		int code = feed(wire, wire->in, (size_t)got);
		if (code)
			return code;
	}
}

int redis_wire_read(struct redis_wire *wire, bool *ret_more, weir_nsec deadline)
{
	ssize_t n = weir_io_read(wire->io, wire->in, sizeof wire->in, deadline);
	*ret_more = n > 0;
	if (n == WEIR_EAGAIN)
		return 0;
	if (n == 0)
		return redis_wire_lose(wire, WEIR_EIO, "closed the connection");
	if (n < 0)
		return redis_wire_lose_to(wire, (int)n);
	wire->heard = weir_now();
	return wire->tls ? unseal(wire, (size_t)n) : feed(wire, wire->in, (size_t)n);
}

int redis_wire_next(struct redis_wire *wire, redisReply **ret_reply)
{
	void *reply = NULL;
	if (redisReaderGetReply(wire->reader, &reply) != REDIS_OK)
		return redis_wire_lose(wire, WEIR_EIO,
				       wire->reader->err == REDIS_ERR_OOM ? "sent an answer with too many elements"
									  : "sent what is no answer of Redis");
	if (!reply && wire->unfinished > wire->most_bytes)
		return redis_wire_lose(wire, WEIR_EIO, "sent an answer that is too large");
	if (!reply)
		return 0;
	wire->unfinished = wire->reader->len - wire->reader->pos;
	*ret_reply = reply;
	return 1;
}

/* ---- logging in */

static int ask(struct redis_wire *wire, const struct redis_command *command, redisReply **ret_reply, weir_nsec deadline)
{
	struct buf line = {0};
	buf_addf(&line, "*%zu\r\n", command->n);
	buf_add(&line, command->words.data, command->words.len);
	int code = line.failed || command->words.failed ? WEIR_ENOMEM : 0;
	if (!code && wire->tls) {
		code = redis_tls_write(wire->tls, line.data, line.len, &wire->trouble);
		buf_clear(&line);
		code = code ? code : redis_tls_drain(wire->tls, &line);
	}
	if (!code)
		code = weir_io_write(wire->io, line.data, line.len, deadline);
	buf_fini(&line);
	if (code)
		return code == WEIR_EDATA ? code : redis_wire_lose_to(wire, code);
	bool more;
	while (!(code = redis_wire_next(wire, ret_reply)))
		if ((code = redis_wire_read(wire, &more, deadline)))
			break;
	return code > 0 ? 0 : code;
}

static const char *field_of(const redisReply *map, const char *name)
{
	for (size_t i = 0; map->type == REDIS_REPLY_ARRAY && i + 1 < map->elements; i += 2)
		if (map->element[i]->str && !strcmp(map->element[i]->str, name) && map->element[i + 1]->str)
			return map->element[i + 1]->str;
	return "";
}

/* An error in the answer to HELLO or SELECT. */
static int refuse_login(struct redis_wire *wire, const char *says)
{
	if (!strncmp(says, "ERR unknown command", 19))
		return redis_wire_lose(wire, WEIR_EDATA, "is older than version 7.0, which weir needs");
	if (!strncmp(says, "NOAUTH", 6))
		return redis_wire_lose(wire, WEIR_EDATA,
				       "wants a password; put it into the URL: redis://:PASSWORD@HOST");
	if (!strncmp(says, "WRONGPASS", 9))
		return redis_wire_lose(wire, WEIR_EDATA, "does not accept the user and password of the URL");
	bool busy = !strncmp(says, "LOADING", 7) || !strncmp(says, "BUSY", 4) || !strncmp(says, "MASTERDOWN", 10);
	weir_error_set(&wire->trouble, busy ? WEIR_EBUSY : WEIR_EDATA, "Redis at %s refuses the connection: %s",
		       wire->url->name, says);
	secret_hide_text(wire->trouble.text);
	return wire->trouble.code;
}

static int check_server(struct redis_wire *wire, const redisReply *hello)
{
	if (hello->type == REDIS_REPLY_ERROR)
		return refuse_login(wire, hello->str);
	const char *version = field_of(hello, "version"), *role = field_of(hello, "role");
	if (strtol(version, NULL, 10) < OLDEST_MAJOR)
		return weir_error_set(&wire->trouble, WEIR_EDATA,
				      "Redis at %s has version %.20s; weir needs 7.0 or later", wire->url->name,
				      *version ? version : "?");
	if (strcmp(role, "master") != 0 && !wire->replica)
		return redis_wire_lose(wire, WEIR_EDATA, "is a read-only replica; put the primary server into the URL");
	return 0;
}

static int log_in(struct redis_wire *wire, weir_nsec deadline)
{
	struct redis_command command = {0};
	redisReply *reply = NULL;
	redis_add_text(&command, "HELLO");
	redis_add_text(&command, "2");
	if (wire->url->password) {
		redis_add_text(&command, "AUTH");
		redis_add_text(&command, wire->url->user ? wire->url->user : "default");
		redis_add_text(&command, wire->url->password);
	}
	int code = ask(wire, &command, &reply, deadline);
	if (reply) {
		code = check_server(wire, reply);
		freeReplyObject(reply);
	}
	if (!code && wire->url->database) {
		reply = NULL;
		redis_command_clear(&command);
		redis_add_text(&command, "SELECT");
		redis_add_number(&command, wire->url->database);
		code = ask(wire, &command, &reply, deadline);
		if (reply) {
			code = reply->type == REDIS_REPLY_ERROR ? refuse_login(wire, reply->str) : 0;
			freeReplyObject(reply);
		}
	}
	redis_command_fini(&command);
	return code;
}

/* What was sent is forgotten. */
static void forget_sent(struct redis_wire *wire, struct buf *from)
{
	if (from->room > sizeof wire->in)
		buf_fini(from);
	buf_clear(from);
	wire->out_at = 0;
}

/* Moves all of `out` to `sealed`. */
static int seal(struct redis_wire *wire)
{
	int code = redis_tls_write(wire->tls, wire->out.data, wire->out.len, &wire->trouble);
	if (code)
		return code;
	wire->sent += wire->out.len;
	buf_clear(&wire->out);
	return redis_tls_drain(wire->tls, &wire->sealed) ? redis_wire_lose_to(wire, WEIR_ENOMEM) : 0;
}

int redis_wire_flush(struct redis_wire *wire, bool *ret_more)
{
	struct buf *from = wire->tls ? &wire->sealed : &wire->out;
	int code = wire->tls ? seal(wire) : 0;
	*ret_more = true;
	if (code)
		return code;
	while (wire->out_at < from->len) {
		ssize_t n = send(wire->fd, from->data + wire->out_at, from->len - wire->out_at, MSG_NOSIGNAL);
		int error = errno;
		if (n < 0 && error == EAGAIN)
			return 0;
		if (n < 0 && error != EINTR)
			return redis_wire_lose_to(wire, -error);
		wire->out_at += n > 0 ? (size_t)n : 0;
		wire->sent += n > 0 && !wire->tls ? (uint64_t)n : 0;
	}
	forget_sent(wire, from);
	*ret_more = false;
	return 0;
}

/* ---- open and close */

static int shake_hands(struct redis_wire *wire, weir_nsec deadline)
{
	struct buf out = {0};
	int code = redis_tls_new(wire->url, &wire->tls, &wire->trouble);
	while (!code) {
		int shaken = redis_tls_shake(wire->tls, &wire->trouble); /* a refusal is sent, too */
		buf_clear(&out);
		code = redis_tls_drain(wire->tls, &out);
		if (!code && out.len)
			code = weir_io_write(wire->io, out.data, out.len, deadline);
		if (shaken) {
			code = shaken < 0 ? shaken : code;
			break;
		}
		ssize_t n = code ? 0 : weir_io_read(wire->io, wire->in, sizeof wire->in, deadline);
		if (!code && n <= 0)
			code = n ? (int)n : -ECONNRESET;
		if (!code)
			code = redis_tls_feed(wire->tls, wire->in, (size_t)n);
	}
	buf_fini(&out);
	if (!code || code == WEIR_EDATA || code == WEIR_ENOMEM || code == WEIR_ECANCELED)
		return code;
	return weir_error_set(&wire->trouble, WEIR_EIO,
			      "Redis at %s has not finished the TLS handshake (%s); without TLS the URL begins with "
			      "redis://",
			      wire->url->name, weir_strerror(code));
}

/* A server that wants a certificate says so behind the handshake, and often nobody hears it before it hangs up. */
static int guess_certificate(struct redis_wire *wire, int code)
{
	if (code != WEIR_EIO || !wire->tls || wire->url->cert)
		return code;
	char was[sizeof wire->trouble.text];
	snprintf(was, sizeof was, "%s", wire->trouble.text);
	return weir_error_set(
		&wire->trouble, code,
		"%.300s; if it wants a certificate, name its file with cert in the URL, and that of its key "
		"with key",
		was);
}

int redis_wire_open(struct redis_wire *wire, weir_nsec deadline)
{
	int code = redis_connect(wire->url, &wire->fd, &wire->trouble, deadline);
	if (!code && ((code = weir_io_open(wire->fd, &wire->io)) || (code = new_reader(wire))))
		redis_wire_lose_to(wire, code);
	if (!code && wire->url->tls)
		code = shake_hands(wire, deadline);
	if (!code)
		code = guess_certificate(wire, log_in(wire, deadline));
	if (code)
		redis_wire_close(wire);
	return code;
}

void redis_wire_close(struct redis_wire *wire)
{
	weir_io_close(wire->io);
	if (wire->fd >= 0)
		close(wire->fd);
	if (wire->reader)
		redisReaderFree(wire->reader);
	buf_fini(&wire->out);
	buf_fini(&wire->sealed);
	redis_tls_free(wire->tls);
	wire->tls = NULL;
	wire->io = NULL;
	wire->fd = -1;
	wire->reader = NULL;
	wire->unfinished = wire->out_at = 0;
	wire->sent = 0;
}
