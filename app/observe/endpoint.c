/* SPDX-License-Identifier: MIT */
/*
 * See endpoint.h.  The thread, and all connections on it, are libmicrohttpd's.
 */
#include "observe/endpoint.h"

#include "data/address.h"
#include "observe/access.h"
#include "observe/feed.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 64, SILENCE_SECONDS = 10, THREAD_STACK = 256 << 10, CONNECTION_BYTES = 8 << 10, REASON_BYTES = 200 };

/* A connection. */
struct visitor {
	int fd;
	bool listed;
	TAILQ_ENTRY(visitor) others;
};

struct endpoint {
	struct endpoint_options opts;
	struct MHD_Daemon *daemon;
	char url[sizeof "http://" + ADDRESS_TEXT_BYTES];
	struct feed feeds[ENDPOINT_PAGES];

	pthread_mutex_t lock; /* of these two */
	struct timespec beat;
	char not_ready[REASON_BYTES];

	/* of the thread alone */
	TAILQ_HEAD(visitor_list, visitor) visitors; /* the one that has been silent for longest first */
	unsigned visitor_count;
};

/* --- answers --- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, struct MHD_Response *response,
			      const char *type)
{
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static struct MHD_Response *copy_of(const char *text)
{
	return MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result say(struct MHD_Connection *connection, unsigned status, const char *text)
{
	struct MHD_Response *response = copy_of(text);
	if (response && status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (response && status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"weir\"");
	return answer(connection, status, response, "text/plain; charset=utf-8");
}

static enum MHD_Result answer_page(struct endpoint *endpoint, struct MHD_Connection *connection,
				   enum endpoint_page which, const char *type)
{
	struct MHD_Response *response = feed_response(&endpoint->feeds[which]);
	return response ? answer(connection, MHD_HTTP_OK, response, type)
			: say(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "starting\n");
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result answer_metrics(struct endpoint *endpoint, struct MHD_Connection *connection)
{
	const char *accept = header(connection, MHD_HTTP_HEADER_ACCEPT);
	bool wants_open = accept && strstr(accept, "application/openmetrics-text");
	return wants_open
		       ? answer_page(endpoint, connection, ENDPOINT_OPENMETRICS,
				     "application/openmetrics-text; version=1.0.0; charset=utf-8")
		       : answer_page(endpoint, connection, ENDPOINT_TEXT, "text/plain; version=0.0.4; charset=utf-8");
}

static enum MHD_Result answer_status(struct endpoint *endpoint, struct MHD_Connection *connection)
{
	return answer_page(endpoint, connection, ENDPOINT_STATUS, "application/json");
}

static const char *argument(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
}

static enum MHD_Result answer_history(struct endpoint *endpoint, struct MHD_Connection *connection)
{
	const char *step_text = argument(connection, "step"), *since_text = argument(connection, "since");
	enum history_step step = HISTORY_MINUTE;
	struct buf json = {0};
	char *end = NULL;
	long long since = since_text ? strtoll(since_text, &end, 10) : 0;
	if ((step_text && !history_step_read(step_text, &step)) || (since_text && (end == since_text || *end)))
		return say(connection, MHD_HTTP_BAD_REQUEST, "step is 1s, 1m or 1h; since is in seconds since 1970\n");
	if (!endpoint->opts.history)
		return say(connection, MHD_HTTP_NOT_FOUND, "no history is kept\n");
	if (history_json(endpoint->opts.history, step, since, time(NULL), &json)) {
		buf_fini(&json);
		return say(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "the history cannot be read\n");
	}
	struct MHD_Response *response = MHD_create_response_from_buffer(json.len, json.data, MHD_RESPMEM_MUST_COPY);
	buf_fini(&json);
	return answer(connection, MHD_HTTP_OK, response, "application/json");
}

static enum MHD_Result answer_health(struct endpoint *endpoint, struct MHD_Connection *connection)
{
	(void)endpoint;
	return say(connection, MHD_HTTP_OK, "ok\n");
}

static double seconds_since(const struct timespec *then)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) * 1e-9;
}

static enum MHD_Result answer_ready(struct endpoint *endpoint, struct MHD_Connection *connection)
{
	char text[REASON_BYTES + 2];
	pthread_mutex_lock(&endpoint->lock);
	struct timespec beat = endpoint->beat;
	snprintf(text, sizeof text, "%s\n", endpoint->not_ready);
	pthread_mutex_unlock(&endpoint->lock);
	double silence = seconds_since(&beat);
	if (beat.tv_sec && silence * 1e9 > (double)endpoint->opts.stall)
		snprintf(text, sizeof text, "the loop has stalled for %.1f s\n", silence);
	bool ready = text[0] == '\n';
	return say(connection, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, ready ? "ready\n" : text);
}

static enum MHD_Result answer_events(struct endpoint *endpoint, struct MHD_Connection *connection)
{
	struct MHD_Response *response = feed_stream(&endpoint->feeds[ENDPOINT_STATUS], connection, ENDPOINT_STREAMS);
	return response ? answer(connection, MHD_HTTP_OK, response, "text/event-stream")
			: say(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too many readers of /events\n");
}

/* --- requests --- */

static const struct {
	const char *path;
	enum MHD_Result (*answer)(struct endpoint *endpoint, struct MHD_Connection *connection);
	bool open; /* to readers without a token: it shows nothing of the run's data */
} routes[] = {
	{"/metrics", answer_metrics, false},        {"/api/v1/status", answer_status, false},
	{"/api/v1/history", answer_history, false}, {"/events", answer_events, false},
	{"/healthz", answer_health, true},          {"/readyz", answer_ready, true},
};

static enum MHD_Result refuse(struct MHD_Connection *connection, enum access access)
{
	if (access == ACCESS_NO_TOKEN)
		return say(connection, MHD_HTTP_UNAUTHORIZED,
			   "send Authorization: Bearer TOKEN, with the token in observe.token\n");
	return say(
		connection, MHD_HTTP_FORBIDDEN,
		access == ACCESS_FOREIGN_ORIGIN
			? "pages of other origins may not read this\n"
			: "name this machine by its address, its name or localhost; other names need observe.token\n");
}

static void touch(struct endpoint *endpoint, struct MHD_Connection *connection);

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
			      const char *version, const char *upload, size_t *upload_bytes, void **context)
{
	static char seen;
	struct endpoint *endpoint = arg;
	(void)version, (void)upload;
	/* The first call brings the head; an answer then would close the connection. */
	if (!*context) {
		*context = &seen;
		touch(endpoint, connection);
		return MHD_YES;
	}
	if (*upload_bytes) {
		*upload_bytes = 0;
		return MHD_YES;
	}
	struct access_request request = {header(connection, MHD_HTTP_HEADER_HOST),
					 header(connection, MHD_HTTP_HEADER_ORIGIN),
					 header(connection, MHD_HTTP_HEADER_AUTHORIZATION)};
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
		if (strcmp(url, routes[i].path))
			continue;
		enum access access = access_check(&request, endpoint->opts.token);
		if (access != ACCESS_GRANTED && !(access == ACCESS_NO_TOKEN && routes[i].open))
			return refuse(connection, access);
		if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
			return say(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
		return routes[i].answer(endpoint, connection);
	}
	return say(connection, MHD_HTTP_NOT_FOUND,
		   "there are /metrics, /api/v1/status, /api/v1/history, /events, /healthz and /readyz\n");
}

/* --- connections --- */

static void append(struct endpoint *endpoint, struct visitor *visitor)
{
	TAILQ_INSERT_TAIL(&endpoint->visitors, visitor, others);
	visitor->listed = true;
	endpoint->visitor_count++;
}

static void remove_visitor(struct endpoint *endpoint, struct visitor *visitor)
{
	if (!visitor->listed)
		return;
	TAILQ_REMOVE(&endpoint->visitors, visitor, others);
	visitor->listed = false;
	endpoint->visitor_count--;
}

static void touch(struct endpoint *endpoint, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct visitor *visitor = info ? info->socket_context : NULL;
	if (!visitor || !visitor->listed)
		return;
	remove_visitor(endpoint, visitor);
	append(endpoint, visitor);
}

/* The one that has been silent for longest makes room: a shut socket reads as closed. */
static void watch(void *arg, struct MHD_Connection *connection, void **context,
		  enum MHD_ConnectionNotificationCode code)
{
	struct endpoint *endpoint = arg;
	struct visitor *visitor = *context;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (visitor)
			remove_visitor(endpoint, visitor);
		free(visitor);
		return;
	}
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (!info || !(visitor = malloc(sizeof *visitor)))
		return;
	*context = visitor;
	visitor->fd = info->connect_fd;
	append(endpoint, visitor);
	if (endpoint->visitor_count > ENDPOINT_CONNECTIONS) {
		struct visitor *silent = TAILQ_FIRST(&endpoint->visitors);
		shutdown(silent->fd, SHUT_RDWR);
		remove_visitor(endpoint, silent);
	}
}

/* --- start, publish, stop --- */

static struct MHD_Daemon *start_daemon(struct endpoint *endpoint, int fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle,
				endpoint, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				2u * ENDPOINT_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_SECONDS,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
				MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK, MHD_OPTION_NOTIFY_CONNECTION, watch,
				endpoint, MHD_OPTION_END);
}

static void endpoint_free(struct endpoint *endpoint)
{
	for (size_t i = 0; i < ENDPOINT_PAGES; i++)
		feed_fini(&endpoint->feeds[i]);
	pthread_mutex_destroy(&endpoint->lock);
	free(endpoint);
}

static int listen_somewhere(struct endpoint *endpoint, struct weir_error *err)
{
	struct address address;
	char text[ADDRESS_TEXT_BYTES];
	if (!address_read(endpoint->opts.listen, &address))
		return weir_error_set(err, WEIR_EINVAL, "expected an address and a port, not %s",
				      endpoint->opts.listen);
	int fd = address_listen(&address, BACKLOG, NULL);
	if (fd == -EADDRINUSE) {
		address_set_port(&address, 0);
		fd = address_listen(&address, BACKLOG, NULL);
	}
	if (fd < 0)
		return weir_error_set(err, fd, "cannot listen on %s: %s", endpoint->opts.listen, weir_strerror(fd));
	snprintf(endpoint->url, sizeof endpoint->url, "http://%s", address_text(&address, text));
	return fd;
}

int endpoint_start(const struct endpoint_options *opts, struct endpoint **ret_endpoint, struct weir_error *err)
{
	struct endpoint *endpoint = calloc(1, sizeof *endpoint);
	if (!endpoint)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	*endpoint = (struct endpoint){.opts = *opts, .not_ready = "starting"};
	TAILQ_INIT(&endpoint->visitors);
	pthread_mutex_init(&endpoint->lock, NULL);
	for (size_t i = 0; i < ENDPOINT_PAGES; i++)
		feed_init(&endpoint->feeds[i]);
	int fd = listen_somewhere(endpoint, err);
	endpoint->daemon = fd >= 0 ? start_daemon(endpoint, fd) : NULL;
	if (endpoint->daemon) {
		*ret_endpoint = endpoint;
		return 0;
	}
	if (fd >= 0) {
		close(fd);
		fd = weir_error_set(err, WEIR_ENOMEM, "cannot start the thread that answers HTTP");
	}
	endpoint_free(endpoint);
	return fd;
}

const char *endpoint_url(const struct endpoint *endpoint)
{
	return endpoint->url;
}

int endpoint_publish(struct endpoint *endpoint, enum endpoint_page page, const char *text, size_t n)
{
	return feed_publish(&endpoint->feeds[page], text, n);
}

void endpoint_beat(struct endpoint *endpoint, const char *not_ready)
{
	pthread_mutex_lock(&endpoint->lock);
	clock_gettime(CLOCK_MONOTONIC, &endpoint->beat);
	snprintf(endpoint->not_ready, sizeof endpoint->not_ready, "%s", not_ready ? not_ready : "");
	pthread_mutex_unlock(&endpoint->lock);
}

void endpoint_stop(struct endpoint *endpoint)
{
	if (!endpoint)
		return;
	for (size_t i = 0; i < ENDPOINT_PAGES; i++)
		feed_end(&endpoint->feeds[i]);
	MHD_stop_daemon(endpoint->daemon);
	endpoint_free(endpoint);
}
