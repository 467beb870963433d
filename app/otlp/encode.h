/* SPDX-License-Identifier: MIT */
/*
 * Traces and metrics as OTLP in JSON (opentelemetry-proto 1.x): names in lowerCamelCase, ids in lower-case hexadecimal
 * digits, 64-bit numbers as texts, enums as numbers.  Pure; whether memory ran out is in out->failed.
 *
 * attribute.c has what both use, spans.c and metrics.c the two.
 */
#ifndef OTLP_ENCODE_H
#define OTLP_ENCODE_H

#include "port/trace.h"

#include <weir/metrics.h>

/* What all spans of a run have in common.  Borrowed. */
struct otlp_names {
	const char *resource; /* JSON: {"attributes":[…]} */
	const char *run, *pipeline, *broker;
	const char *table; /* of a sink that is a database; NULL: none */
};

/* Appends a request with all spans of a list of traces (trace.h), at most TRACE_SPANS_MOST + 1 each; returns their
 * number.  offset: what the clock of the traces lies behind Unix time. */
size_t otlp_encode_traces(const struct trace *list, const struct otlp_names *names, weir_nsec offset, struct buf *out);

/* Appends a request with all series of a registry, as they are at `now`, counted since `started` (both Unix time);
 * returns their number.  Those whose value is no finite number are left out. */
size_t otlp_encode_metrics(const struct weir_metrics *metrics, const char *resource, weir_nsec started, weir_nsec now,
			   struct buf *out);

/* ---- attribute.c */

/* A request, and what it says of one resource, up to its list of spans or metrics. */
struct otlp_frame {
	const char *outer, *inner, *list; /* "resourceSpans", "scopeSpans", "spans" */
};
void otlp_begin(struct buf *out, const struct otlp_frame *frame, const char *resource);
void otlp_end(struct buf *out);

/* An attribute of a list of them.  Of a longer text its beginning: some come from the environment, or from servers. */
enum { OTLP_TEXT_BYTES = 2048 };
void otlp_put_attribute(struct buf *out, const char *key, const char *text);
void otlp_put_attribute_int(struct buf *out, const char *key, int64_t number);
void otlp_put_attribute_id(struct buf *out, const char *key, uint64_t number); /* as a text */

void otlp_put_number(struct buf *out, const char *name, uint64_t number); /* as a text */

#endif
