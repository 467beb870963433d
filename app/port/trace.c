/* SPDX-License-Identifier: MIT */
/*
 * Of most items nothing is handed on.  So of one that is not sampled the only cost is to find that out, and three times
 * in its struct.  Of the others a trace is used again with the memory that it has, spans hold no text of their own, and
 * nothing gets an id or is formatted before it is handed on.
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

/* The half that decides whether it is sampled. */
static uint64_t low_id_of(const struct tracer *tracer, uint64_t item)
{
	return mix(tracer->run.low, item);
}

static struct trace_id id_of(const struct tracer *tracer, uint64_t item)
{
	return (struct trace_id){mix(tracer->run.high, item), low_id_of(tracer, item)};
}

static bool is_sampled(const struct tracer *tracer, uint64_t low_id)
{
	return (low_id << (64 - SAMPLED_BITS)) >> (64 - SAMPLED_BITS) >= tracer->threshold;
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

char *trace_put_hex(char *to, uint64_t number)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		*to++ = "0123456789abcdef"[number >> shift & 15];
	return to;
}

void tracer_add_id(const struct tracer *tracer, const struct item *item, struct buf *out)
{
	const struct trace_id id = id_of(tracer, item->id);
	char text[2 * TRACE_SPAN_ID_BYTES];
	trace_put_hex(trace_put_hex(text, id.high), id.low);
	buf_add(out, text, sizeof text);
}

/* ---- spans */

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
	*span = (struct trace_span){.kind = kind, .begun = begun, .ended = ended};
	return span;
}

/* ---- an item's trace */

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

static bool is_under_way(const struct item *item)
{
	return item->stay.begun && !item->stay.ended;
}

/* The last attempt of the item, and what came before it.  `number` is its. */
static void add_attempt(struct trace *trace, const struct item *item, unsigned number)
{
	const struct item_stay *stay = &item->stay;
	weir_nsec queued = stay->queued > item->born ? stay->queued : item->born;
	if (!item->returned && !trace->n && queued > item->born && item->born)
		add_span(trace, TRACE_SEND, item->born, queued);
	if (!stay->begun)
		return;
	if (stay->queued)
		add_span(trace, TRACE_WAIT, queued, stay->begun);
	struct trace_span *span =
		add_span(trace, TRACE_ATTEMPT, stay->begun, is_under_way(item) ? stay->begun : stay->ended);
	if (!span)
		return;
	span->number = number;
	span->is_used_up = !is_under_way(item) && item->attempts;
	trace->open = is_under_way(item) ? trace->n : 0;
}

/* The trace of the item, from its last attempt on if nothing was recorded so far; NULL if there is no room. */
static struct trace *trace_of(struct tracer *tracer, struct item *item)
{
	if (item->trace)
		return item->trace;
	struct trace *trace = tracer->n < tracer->opts.most ? new_trace(tracer) : NULL;
	if (!trace) {
		tracer->losses.items++;
		return NULL;
	}
	tracer->n++;
	trace->id = id_of(tracer, item->id);
	trace->root = trace_root_of(&trace->id);
	trace->is_sampled = is_sampled(tracer, trace->id.low);
	trace->item = item->id;
	trace->position = item->position;
	trace->born = item->born;
	if (item->number && item->number != item->id)
		trace->linked = id_of(tracer, item->number);
	item->trace = trace;
	trace->known = item->attempts - (item->stay.ended && item->attempts);
	add_attempt(trace, item, trace->known + 1);
	return trace;
}

/* ---- attempts */

void tracer_attempt(struct tracer *tracer, struct item *item, weir_nsec now)
{
	if (!tracer || is_under_way(item))
		return;
	struct item_stay *stay = &item->stay;
	*stay = (struct item_stay){.queued = stay->ended ? stay->ended : stay->queued, .begun = now};
	if (item->trace)
		add_attempt(item->trace, item, item->attempts + 1);
	else if (item->attempts || is_sampled(tracer, low_id_of(tracer, item->id)))
		trace_of(tracer, item);
}

static void close_attempt(struct trace *trace, bool is_used_up, const char *error, weir_nsec now)
{
	struct trace_span *attempt = &trace->spans[trace->open - 1];
	attempt->ended = now;
	attempt->is_used_up = is_used_up;
	attempt->error = keep_text(trace, error);
	trace->open = 0;
}

void tracer_attempt_ended(struct tracer *tracer, struct item *item, bool is_used_up, const char *error, weir_nsec now)
{
	if (!tracer || !is_under_way(item))
		return;
	struct trace *trace = is_used_up && error ? trace_of(tracer, item) : item->trace;
	item->stay.ended = now;
	if (trace && trace->open)
		close_attempt(trace, is_used_up, error, now);
}

/* ---- what happens in an attempt */

static struct trace_span *add_part(const struct tracing *tracing, enum trace_kind kind, weir_nsec begun,
				   const char *error)
{
	bool fails = error && *error;
	if (!tracing->tracer || (!fails && !tracing->item->trace))
		return NULL;
	struct trace *trace = trace_of(tracing->tracer, tracing->item);
	struct trace_span *span = trace ? add_span(trace, kind, begun, weir_clock()) : NULL;
	if (!span)
		return NULL;
	span->attempt = (unsigned)trace->open;
	span->error = keep_text(trace, error);
	return span;
}

void trace_step(const struct tracing *tracing, const char *name, size_t number, weir_nsec begun, const char *error)
{
	struct trace_span *span = add_part(tracing, TRACE_STEP, begun, error);
	if (!span)
		return;
	span->name = name;
	span->number = (unsigned)number;
}

uint64_t trace_put_parent(const struct tracing *tracing, char ret_text[TRACE_PARENT_BYTES])
{
	const struct trace_id trace = id_of(tracing->tracer, tracing->item->id);
	uint64_t id = any_id(tracing->tracer);
	bool is_kept = is_sampled(tracing->tracer, trace.low) || tracing->item->attempts;
	char *to = ret_text;
	memcpy(to, "00-", 3);
	to = trace_put_hex(trace_put_hex(to + 3, trace.high), trace.low);
	*to++ = '-';
	to = trace_put_hex(to, id);
	memcpy(to, is_kept ? "-01" : "-00", sizeof "-00");
	return id;
}

/* A status that is an error says so by itself. */
void trace_request(const struct tracing *tracing, const struct trace_request *request)
{
	bool fails = request->status >= 400;
	if (tracing->tracer && fails)
		trace_of(tracing->tracer, tracing->item);
	struct trace_span *span = add_part(tracing, TRACE_REQUEST, request->begun, request->error);
	if (!span)
		return;
	span->id = request->id;
	span->name = request->method;
	span->status = request->status;
	span->url = keep_text(tracing->item->trace, request->url);
}

void tracer_write(struct tracer *tracer, struct item *item, const struct trace_write *write)
{
	bool fails = write->error || item->fate == FATE_DEAD;
	if (!tracer || (!fails && !item->trace))
		return;
	struct trace *trace = trace_of(tracer, item);
	struct trace_span *span = trace ? add_span(trace, TRACE_WRITE, write->begun, write->ended) : NULL;
	if (!span)
		return;
	span->name = write->sink;
	span->number = (unsigned)write->items;
	span->error = keep_text(trace, write->error);
}

/* ---- its end */

/* That of the attempt before, which was made here or somewhere else. */
static uint64_t link_of(const struct trace *trace, size_t at)
{
	unsigned number = trace->spans[at].number - 1;
	for (size_t i = at; i--;)
		if (trace->spans[i].kind == TRACE_ATTEMPT && trace->spans[i].is_used_up &&
		    trace->spans[i].number == number)
			return trace->spans[i].id;
	return number ? attempt_id(trace, number) : 0;
}

/* An attempt that used up none may be followed by another with its number, and so may one of which the broker does not
 * know.  Attempts come before their parts. */
static void give_ids(struct tracer *tracer, struct trace *trace, bool is_taken)
{
	for (size_t i = 0; i < trace->n; i++) {
		struct trace_span *span = &trace->spans[i];
		bool is_attempt = span->kind == TRACE_ATTEMPT;
		if (is_attempt && span->is_used_up && is_taken)
			span->id = attempt_id(trace, span->number);
		else if (!span->id)
			span->id = any_id(tracer);
		span->parent = span->attempt ? trace->spans[span->attempt - 1].id : trace->root;
		span->link = is_attempt ? link_of(trace, i) : 0;
	}
}

static void end_trace(struct tracer *tracer, struct trace *trace, bool is_wanted, bool is_taken)
{
	tracer->n--;
	if (is_wanted) {
		tracer->losses.spans += trace->lost;
		give_ids(tracer, trace, is_taken);
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
		struct item *item = items[i];
		bool is_dead = item->fate == FATE_DEAD;
		struct trace *trace = is_dead ? trace_of(tracer, item) : item->trace;
		if (!trace)
			continue;
		trace->attempts = item->attempts;
		trace->fate = item->fate;
		trace->settled = now;
		if (is_dead)
			trace->error = keep_text(trace, item_why(item));
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
		end_trace(tracer, trace, trace->is_sampled || trace->fate == FATE_DEAD || trace->attempts > 1, true);
	}
}

struct trace *tracer_leave(struct tracer *tracer, struct item *item)
{
	if (!tracer)
		return NULL;
	weir_nsec now = weir_clock();
	if (item->attempts && item->stay.begun)
		trace_of(tracer, item); /* it will be attempted again */
	struct trace *trace = item->trace;
	if (trace) {
		if (trace->open)
			close_attempt(trace, false, NULL, now);
		trace->attempts = item->attempts;
	}
	item->trace = NULL;
	item->stay = (struct item_stay){.queued = now};
	item->returned = true;
	return trace;
}

/* The worker that settles the item must find that it needed retries, too. */
void tracer_left(struct tracer *tracer, struct trace *trace, bool is_taken)
{
	if (!trace)
		return;
	bool has_retries = is_taken ? trace->attempts : trace->known;
	trace->settled = 0;
	end_trace(tracer, trace, trace->n && (trace->is_sampled || has_retries), is_taken);
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
