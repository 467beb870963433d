/* SPDX-License-Identifier: MIT */
/*
 * Recording must cost next to nothing, for most of what is recorded is forgotten: a trace is used again with the memory
 * that it has, spans hold no text of their own, and nothing is formatted here.
 */
#include "port/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/random.h>
#include <weir/run.h>

#include "data/array.h"

enum { ITEMS_MOST = 16384, SPARES_MOST = 4096, SPANS_USUAL = 8, TEXT_BYTES = 2048 };

struct tracer {
	struct tracer_options opts;
	struct trace_id run;
	uint64_t threshold; /* of the last 56 bits of a trace's id: from there on it is sampled */
	uint64_t random;
	size_t n; /* items that are traced */
	struct trace *spares;
	size_t spare_count;
	struct tracer_losses losses;
};

#define SAMPLED_BITS 56

/* ---- ids */

/* Never 0, which is no id. */
static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t state = a ^ weir_random(&b);
	uint64_t mixed = weir_random(&state);
	return mixed ? mixed : 1;
}

static struct trace_id id_of(const struct tracer *tracer, uint64_t item)
{
	return (struct trace_id){mix(tracer->run.high, item), mix(tracer->run.low, item)};
}

uint64_t trace_root_of(const struct trace_id *id)
{
	return mix(id->high, id->low);
}

static uint64_t attempt_id(const struct trace *trace, unsigned number)
{
	return mix(trace->root, number);
}

static uint64_t any_id(struct tracer *tracer)
{
	return mix(tracer->random++, 0);
}

void trace_add_id(const struct trace_id *id, struct buf *out)
{
	buf_addf(out, "%016" PRIx64 "%016" PRIx64, id->high, id->low);
}

void trace_add_span_id(uint64_t id, struct buf *out)
{
	buf_addf(out, "%016" PRIx64, id);
}

/* ---- a trace */

void trace_free(struct trace *trace)
{
	if (!trace)
		return;
	free(trace->spans);
	buf_fini(&trace->texts);
	free(trace);
}

/* Its place; 0, where there is no text: it is empty, or there is no memory. */
static size_t keep_text(struct trace *trace, const char *text)
{
	size_t n = text ? strnlen(text, TEXT_BYTES) : 0;
	if (!n || (!trace->texts.len && buf_add_char(&trace->texts, 0)))
		return 0;
	size_t place = trace->texts.len;
	return buf_add(&trace->texts, text, n) || buf_add_char(&trace->texts, 0) ? 0 : place;
}

/* NULL where there is no room. */
static struct trace_span *add_span(struct trace *trace, enum trace_kind kind, weir_nsec begun, weir_nsec ended)
{
	if (trace->n == TRACE_SPANS_MOST ||
	    array_reserve(&trace->spans, &trace->room, trace->n < SPANS_USUAL ? SPANS_USUAL : trace->n + 1,
			  sizeof *trace->spans)) {
		trace->lost++;
		return NULL;
	}
	struct trace_span *span = &trace->spans[trace->n++];
	*span = (struct trace_span){.kind = kind, .begun = begun, .ended = ended, .parent = trace->root};
	return span;
}

/* Who knows its parent when that ends leaves it at 0. */
static struct trace_span *add_part(struct trace *trace, enum trace_kind kind, weir_nsec begun, const char *error)
{
	struct trace_span *span = add_span(trace, kind, begun, weir_clock());
	if (!span)
		return NULL;
	span->id = any_id(trace->tracer);
	span->parent = trace->open ? 0 : trace->root;
	span->error = keep_text(trace, error);
	return span;
}

void trace_step(struct trace *trace, const char *name, size_t number, weir_nsec begun, const char *error)
{
	struct trace_span *span = trace ? add_part(trace, TRACE_STEP, begun, error) : NULL;
	if (!span)
		return;
	span->name = name;
	span->number = (unsigned)number;
}

uint64_t trace_put_parent(struct trace *trace, const struct item *item, char ret_text[TRACE_PARENT_BYTES])
{
	uint64_t id = any_id(trace->tracer);
	bool is_kept = trace->is_sampled || item->attempts;
	snprintf(ret_text, TRACE_PARENT_BYTES, "00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-%s", trace->id.high,
		 trace->id.low, id, is_kept ? "01" : "00");
	return id;
}

void trace_request(struct trace *trace, const struct trace_request *request)
{
	struct trace_span *span = trace ? add_part(trace, TRACE_REQUEST, request->begun, request->error) : NULL;
	if (!span)
		return;
	span->id = request->id ? request->id : span->id;
	span->name = request->method;
	span->status = request->status;
	span->url = keep_text(trace, request->url);
}

void trace_write(struct trace *trace, const char *sink, size_t items, weir_nsec begun, weir_nsec ended,
		 const char *error)
{
	struct trace_span *span = trace ? add_span(trace, TRACE_WRITE, begun, ended) : NULL;
	if (!span)
		return;
	span->id = any_id(trace->tracer);
	span->name = sink;
	span->number = (unsigned)items;
	span->error = keep_text(trace, error);
}

/* ---- an item */

static struct trace *new_trace(struct tracer *tracer)
{
	struct trace *trace = tracer->spares;
	if (!trace)
		return calloc(1, sizeof *trace);
	tracer->spares = trace->next;
	tracer->spare_count--;
	struct buf texts = trace->texts;
	buf_clear(&texts);
	*trace = (struct trace){.spans = trace->spans, .room = trace->room, .texts = texts};
	return trace;
}

void tracer_begin(struct tracer *tracer, struct item *item)
{
	if (!tracer || item->trace)
		return;
	struct trace *trace = tracer->n < tracer->opts.most ? new_trace(tracer) : NULL;
	if (!trace) {
		tracer->losses.items++;
		return;
	}
	tracer->n++;
	trace->tracer = tracer;
	trace->id = id_of(tracer, item->id);
	trace->root = trace_root_of(&trace->id);
	trace->is_sampled = (trace->id.low << (64 - SAMPLED_BITS)) >> (64 - SAMPLED_BITS) >= tracer->threshold;
	trace->item = item->id;
	trace->position = item->position;
	trace->born = item->born;
	if (item->number && item->number != item->id)
		trace->linked = id_of(tracer, item->number);
	item->trace = trace;
}

/* Since when the item has waited; 0: that is not known. */
static weir_nsec waits_since(const struct trace *trace, const struct item *item)
{
	if (trace->ended)
		return trace->ended;
	return item->left ? item->left : item->attempts || item->attempted ? 0 : item->born;
}

void tracer_attempt(struct tracer *tracer, struct item *item, weir_nsec now)
{
	tracer_begin(tracer, item);
	struct trace *trace = item->trace;
	if (!trace || trace->open)
		return;
	weir_nsec since = waits_since(trace, item);
	struct trace_span *span = since ? add_span(trace, TRACE_WAIT, since, now) : NULL;
	if (span)
		span->id = any_id(tracer);
	span = add_span(trace, TRACE_ATTEMPT, now, now);
	if (!span)
		return;
	trace->open = trace->n;
	span->number = item->attempts + 1;
	span->link = item->attempts ? attempt_id(trace, item->attempts) : 0;
}

/* One that used up none may be followed by another with its number. */
static void end_attempt(struct tracer *tracer, struct trace *trace, bool is_used_up, const char *error)
{
	struct trace_span *attempt = &trace->spans[trace->open - 1];
	attempt->id = is_used_up ? attempt_id(trace, attempt->number) : any_id(tracer);
	attempt->ended = trace->ended = weir_clock();
	attempt->error = keep_text(trace, error);
	for (size_t i = trace->open; i < trace->n; i++)
		trace->spans[i].parent = trace->spans[i].parent ? trace->spans[i].parent : attempt->id;
	trace->open = 0;
}

void tracer_attempt_ended(struct tracer *tracer, struct item *item, bool is_used_up, const char *error)
{
	struct trace *trace = item->trace;
	if (trace && trace->open)
		end_attempt(tracer, trace, is_used_up, error);
}

/* ---- its end */

static void end_trace(struct tracer *tracer, struct trace *trace, bool is_wanted)
{
	tracer->n--;
	trace->tracer = NULL;
	if (is_wanted) {
		tracer->losses.spans += trace->lost;
		tracer->opts.take(tracer->opts.arg, trace);
	} else if (tracer->spare_count < SPARES_MOST) {
		trace->next = tracer->spares;
		tracer->spares = trace;
		tracer->spare_count++;
	} else {
		trace_free(trace);
	}
}

struct trace *tracer_settle(struct tracer *tracer, struct item *const *items, size_t n, weir_nsec now)
{
	struct trace *all = NULL;
	for (size_t i = 0; tracer && i < n; i++) {
		struct trace *trace = items[i]->trace;
		if (!trace)
			continue;
		trace->attempts = items[i]->attempts;
		trace->fate = items[i]->fate;
		trace->settled = now;
		if (trace->fate == FATE_DEAD)
			trace->error = keep_text(trace, item_why(items[i]));
		trace->next = all;
		all = trace;
	}
	return all;
}

void tracer_settled(struct tracer *tracer, struct trace *traces)
{
	while (traces) {
		struct trace *trace = traces;
		traces = trace->next;
		end_trace(tracer, trace, trace->is_sampled || trace->fate == FATE_DEAD || trace->attempts > 1);
	}
}

void tracer_leave(struct tracer *tracer, struct item *item)
{
	struct trace *trace = item->trace;
	if (!tracer)
		return;
	item->left = weir_clock();
	item->trace = NULL;
	if (!trace)
		return;
	if (trace->open)
		end_attempt(tracer, trace, false, NULL);
	trace->settled = 0;
	end_trace(tracer, trace, trace->n && (trace->is_sampled || item->attempts));
}

/* ---- the run */

int tracer_new(const struct tracer_options *opts, struct tracer **ret_tracer)
{
	struct tracer *tracer = calloc(1, sizeof *tracer);
	if (!tracer)
		return WEIR_ENOMEM;
	tracer->opts = *opts;
	tracer->opts.most = opts->most ? opts->most : ITEMS_MOST;
	tracer->random = opts->seed;
	tracer->threshold = (uint64_t)((1 - opts->ratio) * (double)(UINT64_C(1) << SAMPLED_BITS));
	*ret_tracer = tracer;
	return 0;
}

void tracer_free(struct tracer *tracer)
{
	if (!tracer)
		return;
	while (tracer->spares) {
		struct trace *trace = tracer->spares;
		tracer->spares = trace->next;
		trace_free(trace);
	}
	free(tracer);
}

void tracer_set_run(struct tracer *tracer, const char *run)
{
	if (tracer)
		sscanf(run, "%16" SCNx64 "%16" SCNx64, &tracer->run.high, &tracer->run.low);
}

struct tracer_losses tracer_losses(const struct tracer *tracer)
{
	return tracer->losses;
}
