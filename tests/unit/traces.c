/* SPDX-License-Identifier: MIT */
#include "unit/traces.h"

#include "support/test.h"

struct taken taken;

static void take(void *arg, struct trace *trace)
{
	struct taken *to = arg;
	ck_assert_uint_lt(to->n, TRACES_TAKEN_MOST);
	ck_assert(!trace->open && !trace->lost);
	to->all[to->n++] = trace;
}

struct tracer *new_tracer(double ratio, uint64_t seed)
{
	struct tracer *tracer;
	const struct tracer_options opts = {.ratio = ratio, .seed = seed, .take = take, .arg = &taken};
	ck_assert_int_eq(tracer_new(&opts, &tracer), 0);
	return tracer;
}

size_t spans_of(enum trace_kind kind)
{
	size_t n = 0;
	for (size_t i = 0; i < taken.n; i++)
		for (size_t j = 0; j < taken.all[i]->n; j++)
			n += taken.all[i]->spans[j].kind == kind;
	return n;
}

static bool is_same(const struct trace *a, const struct trace *b)
{
	return a->id.high == b->id.high && a->id.low == b->id.low;
}

/* Spans with that id in all parts of a trace; *ret_kind: of the last. */
static size_t find(const struct trace *of, uint64_t id, enum trace_kind *ret_kind)
{
	size_t n = 0;
	for (size_t i = 0; i < taken.n; i++) {
		const struct trace *part = taken.all[i];
		for (size_t j = 0; is_same(of, part) && j < part->n; j++)
			if (part->spans[j].id == id) {
				*ret_kind = part->spans[j].kind;
				n++;
			}
	}
	return n;
}

static void check_span(const struct trace *trace, const struct trace_span *span)
{
	enum trace_kind kind = TRACE_WAIT;
	bool is_part = span->kind == TRACE_REQUEST || span->kind == TRACE_STEP;
	quick_assert(span->id && span->begun <= span->ended);
	quick_assert(find(trace, span->id, &kind) == 1);
	if (is_part)
		quick_assert(find(trace, span->parent, &kind) && kind == TRACE_ATTEMPT);
	else
		quick_assert(span->parent == trace->root);
	if (span->link)
		quick_assert(find(trace, span->link, &kind) && kind == TRACE_ATTEMPT);
}

size_t check_trees(void)
{
	size_t n = 0;
	for (size_t i = 0; i < taken.n; i++) {
		size_t settled = 0;
		for (size_t j = 0; j < taken.n; j++)
			settled += is_same(taken.all[i], taken.all[j]) && taken.all[j]->settled;
		ck_assert_uint_eq(settled, 1);
		for (size_t j = 0; j < taken.all[i]->n; j++)
			check_span(taken.all[i], &taken.all[i]->spans[j]);
		n += taken.all[i]->settled != 0;
	}
	return n;
}

void forget_taken(void)
{
	while (taken.n)
		trace_free(taken.all[--taken.n]);
}
