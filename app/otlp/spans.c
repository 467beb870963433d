/* SPDX-License-Identifier: MIT */
/*
 * Spans, with the names of OpenTelemetry's semantic conventions: an item is a message that is sent and processed, a
 * request one of an HTTP client, a write one of a database client where the sink is a database.
 *
 * To add a kind of span: a row in `kinds`, and what is special about it in a function.
 */
#include "otlp/encode.h"

#include "data/json_writer.h"
#include "data/secret.h"
#include "data/utf8.h"
#include "http/origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SpanKind, Status.StatusCode */
enum { KIND_INTERNAL = 1, KIND_CLIENT = 3, KIND_PRODUCER = 4, KIND_CONSUMER = 5, STATUS_ERROR = 2 };

struct encoding {
	struct buf *out;
	const struct otlp_names *names;
	weir_nsec offset;
	const struct trace *trace;
	struct buf messages[2]; /* what all messages of an operation say before their ids */
};

/* What is done with a message. */
enum operation { SEND, PROCESS };
static const char *const operations[] = {"send", "process"};

/* ---- parts of a span */

static void put_id(struct buf *out, const char *name, const struct trace_id *trace, uint64_t span)
{
	char text[2 * TRACE_SPAN_ID_BYTES], *end = text;
	if (trace)
		end = trace_put_hex(trace_put_hex(end, trace->high), trace->low);
	else
		end = trace_put_hex(end, span);
	json_put_bytes(out, name, text, (size_t)(end - text));
}

static void put_link(struct buf *out, const struct trace_id *trace, uint64_t span)
{
	json_open(out, "links", '[');
	json_open(out, NULL, '{');
	put_id(out, "traceId", trace, 0);
	put_id(out, "spanId", NULL, span);
	buf_add_str(out, "}]");
}

static void put_status(struct buf *out, const char *message)
{
	json_open(out, "status", '{');
	json_put_int(out, "code", STATUS_ERROR);
	if (*message)
		json_put_text(out, "message", message);
	json_close(out, '}');
}

/* What an error is called: "timeout" of "timeout: no first byte in 10 s". */
static void put_error_type(struct buf *out, const char *error)
{
	char type[40];
	size_t n = strcspn(error, ":");
	bool has_type = error[n] && n && n < sizeof type;
	snprintf(type, sizeof type, "%.*s", (int)n, error);
	otlp_put_attribute(out, "error.type", has_type ? type : "_OTHER");
}

enum { NAME_BYTES = 80 };

/* Two texts as one, without half a character at the end. */
static void make_name(char name[NAME_BYTES], const char *first, const char *second)
{
	char *end = stpcpy(name, first);
	size_t n = strlen(second), room = NAME_BYTES - 1 - (size_t)(end - name);
	n = utf8_cut(second, n, room);
	memcpy(end, second, n);
	end[n] = 0;
}

static void begin_span(struct encoding *to, uint64_t id, uint64_t parent, const char *name, int kind, weir_nsec begun,
		       weir_nsec ended)
{
	struct buf *out = to->out;
	json_open(out, NULL, '{');
	put_id(out, "traceId", &to->trace->id, 0);
	put_id(out, "spanId", NULL, id);
	if (parent)
		put_id(out, "parentSpanId", NULL, parent);
	json_put_text(out, "name", name);
	json_put_int(out, "kind", kind);
	otlp_put_number(out, "startTimeUnixNano", (uint64_t)(begun + to->offset));
	otlp_put_number(out, "endTimeUnixNano", (uint64_t)((ended > begun ? ended : begun) + to->offset));
	json_open(out, "attributes", '[');
}

/* ---- an HTTP request */

/* As the conventions want it: the values of a query may be secrets. */
static void put_url(struct buf *out, const char *url)
{
	struct buf text = {0};
	size_t n = strcspn(url, "?#");
	buf_add(&text, url, n);
	if (url[n] == '?') {
		const char *at = url + n;
		while (*at && *at != '#') {
			size_t pair = 1 + strcspn(at + 1, "&#"), name = strcspn(at, "=");
			buf_add(&text, at, name < pair ? name : pair);
			if (name < pair)
				buf_add_str(&text, "=REDACTED");
			at += pair;
		}
	}
	if (text.data && !text.failed) {
		secret_hide_text(text.data);
		otlp_put_attribute(out, "url.full", text.data);
	}
	buf_fini(&text);
}

static void put_request(struct encoding *to, const struct trace_span *span)
{
	const char *url = trace_text(to->trace, span->url);
	struct http_origin origin;
	char status[16];
	otlp_put_attribute(to->out, "http.request.method", span->name);
	if (!http_origin_parse(url, &origin)) {
		otlp_put_attribute(to->out, "server.address", origin.host);
		otlp_put_attribute_int(to->out, "server.port", origin.port);
	}
	put_url(to->out, url);
	if (span->status)
		otlp_put_attribute_int(to->out, "http.response.status_code", span->status);
	snprintf(status, sizeof status, "%d", span->status);
	if (span->status >= 400 && !span->error)
		otlp_put_attribute(to->out, "error.type", status);
}

/* ---- a write to a sink */

static const char *system_of(const char *sink)
{
	return !strcmp(sink, "postgres") ? "postgresql" : !strcmp(sink, "sqlite") ? sink : NULL;
}

static void put_write(struct encoding *to, const struct trace_span *span)
{
	const char *system = system_of(span->name);
	otlp_put_attribute(to->out, "weir.sink", span->name);
	if (!system)
		return;
	otlp_put_attribute(to->out, "db.system.name", system);
	if (to->names->table)
		otlp_put_attribute(to->out, "db.collection.name", to->names->table);
	if (span->number > 1)
		otlp_put_attribute_int(to->out, "db.operation.batch.size", span->number);
}

/* ---- an item as a message */

static void make_message(struct encoding *to, enum operation operation)
{
	struct buf *out = &to->messages[operation];
	otlp_put_attribute(out, "messaging.system", to->names->broker);
	otlp_put_attribute(out, "messaging.destination.name", to->names->pipeline);
	otlp_put_attribute(out, "messaging.operation.name", operations[operation]);
	otlp_put_attribute(out, "messaging.operation.type", operations[operation]);
	otlp_put_attribute(out, "messaging.message.conversation_id", to->names->run);
}

static void put_message(struct encoding *to, enum operation operation)
{
	const struct buf *message = &to->messages[operation];
	json_put_raw(to->out, NULL, message->data, message->len);
	otlp_put_attribute_id(to->out, "messaging.message.id", to->trace->item);
}

static void put_send(struct encoding *to, const struct trace_span *span)
{
	(void)span;
	put_message(to, SEND);
}

/* ---- the others */

static void put_attempt(struct encoding *to, const struct trace_span *span)
{
	otlp_put_attribute_int(to->out, "weir.attempt", span->number);
}

static void put_step(struct encoding *to, const struct trace_span *span)
{
	otlp_put_attribute_int(to->out, "weir.step", span->number);
}

static const struct {
	const char *name; /* NULL: that of the span; with a blank at its end: before that, or that of the pipeline */
	int kind;
	void (*put)(struct encoding *to, const struct trace_span *span); /* NULL: it has no attributes */
} kinds[] = {
	[TRACE_SEND] = {"send ", KIND_PRODUCER, put_send},         [TRACE_WAIT] = {"wait", KIND_INTERNAL, NULL},
	[TRACE_ATTEMPT] = {"attempt", KIND_INTERNAL, put_attempt}, [TRACE_STEP] = {NULL, KIND_INTERNAL, put_step},
	[TRACE_REQUEST] = {NULL, KIND_CLIENT, put_request},        [TRACE_WRITE] = {"write ", KIND_INTERNAL, put_write},
};

static void put_span(struct encoding *to, const struct trace_span *span)
{
	char name[NAME_BYTES];
	const char *fixed = kinds[span->kind].name, *error = trace_text(to->trace, span->error);
	bool is_whole = fixed && fixed[strlen(fixed) - 1] != ' ';
	int kind = span->kind == TRACE_WRITE && system_of(span->name) ? KIND_CLIENT : kinds[span->kind].kind;
	make_name(name, fixed ? fixed : "", is_whole ? "" : span->name ? span->name : to->names->pipeline);
	begin_span(to, span->id, span->parent, name, kind, span->begun, span->ended);
	if (kinds[span->kind].put)
		kinds[span->kind].put(to, span);
	if (*error)
		put_error_type(to->out, error);
	json_close(to->out, ']');
	if (span->link)
		put_link(to->out, &to->trace->id, span->link);
	if (*error || span->status >= 400)
		put_status(to->out, error);
	json_close(to->out, '}');
}

static void put_item(struct encoding *to)
{
	static const char *const fates[] = {"succeeded", "dropped", "dead"};
	const struct trace *trace = to->trace;
	const char *error = trace_text(trace, trace->error);
	char name[NAME_BYTES];
	make_name(name, "process ", to->names->pipeline);
	begin_span(to, trace->root, 0, name, KIND_CONSUMER, trace->born, trace->settled);
	put_message(to, PROCESS);
	otlp_put_attribute_int(to->out, "weir.item.position", (int64_t)trace->position);
	otlp_put_attribute_int(to->out, "weir.item.attempts", trace->attempts);
	otlp_put_attribute(to->out, "weir.item.outcome", fates[trace->fate]);
	if (trace->fate == FATE_DEAD)
		put_error_type(to->out, error);
	json_close(to->out, ']');
	if (trace->linked.high)
		put_link(to->out, &trace->linked, trace_root_of(&trace->linked));
	if (trace->fate == FATE_DEAD)
		put_status(to->out, error);
	json_close(to->out, '}');
}

size_t otlp_encode_traces(const struct trace *list, const struct otlp_names *names, weir_nsec offset, struct buf *out)
{
	static const struct otlp_frame frame = {"resourceSpans", "scopeSpans", "spans"};
	struct encoding to = {.out = out, .names = names, .offset = offset};
	size_t n = 0;
	make_message(&to, SEND);
	make_message(&to, PROCESS);
	otlp_begin(out, &frame, names->resource);
	for (to.trace = list; to.trace; to.trace = to.trace->next) {
		for (size_t i = 0; i < to.trace->n; i++)
			put_span(&to, &to.trace->spans[i]);
		if (to.trace->settled)
			put_item(&to);
		n += to.trace->n + (to.trace->settled != 0);
	}
	otlp_end(out);
	out->failed |= to.messages[SEND].failed || to.messages[PROCESS].failed;
	buf_fini(&to.messages[SEND]);
	buf_fini(&to.messages[PROCESS]);
	return n;
}
