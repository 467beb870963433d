/* SPDX-License-Identifier: MIT */
#include "redis/wire.h"

#include "data/secret.h"
#include "redis/command.h"
#include "redis/connect.h"

#include <errno.h>
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
	wire->unfinished += (size_t)n;
	return redisReaderFeed(wire->reader, wire->in, (size_t)n) == REDIS_OK ? 0
									      : redis_wire_lose_to(wire, WEIR_ENOMEM);
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
	if (!code)
		code = weir_io_write(wire->io, line.data, line.len, deadline);
	buf_fini(&line);
	if (code)
		return redis_wire_lose_to(wire, code);
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

int redis_wire_flush(struct redis_wire *wire)
{
	while (wire->out_at < wire->out.len) {
		ssize_t n = send(wire->fd, wire->out.data + wire->out_at, wire->out.len - wire->out_at, MSG_NOSIGNAL);
		int error = errno;
		if (n < 0 && error == EAGAIN)
			return 0;
		if (n < 0 && error != EINTR)
			return redis_wire_lose_to(wire, -error);
		wire->out_at += n > 0 ? (size_t)n : 0;
		wire->sent += n > 0 ? (uint64_t)n : 0;
	}
	if (wire->out.room > sizeof wire->in)
		buf_fini(&wire->out);
	buf_clear(&wire->out);
	wire->out_at = 0;
	return 0;
}

/* ---- open and close */

int redis_wire_open(struct redis_wire *wire, weir_nsec deadline)
{
	int code = redis_connect(wire->url, &wire->fd, &wire->trouble, deadline);
	if (!code && ((code = weir_io_open(wire->fd, &wire->io)) || (code = new_reader(wire))))
		redis_wire_lose_to(wire, code);
	if (!code)
		code = log_in(wire, deadline);
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
	wire->io = NULL;
	wire->fd = -1;
	wire->reader = NULL;
	wire->unfinished = wire->out_at = 0;
	wire->sent = 0;
}
