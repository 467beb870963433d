/* SPDX-License-Identifier: MIT */
/*
 * See trial.h.  The engine knows ports only, so what is looked at is put behind them: each adapter here stands before
 * one of the plan.  Its config is the trial, or the trial's step.
 *
 * An item reaches its end in the sink, in the dead letters, or in a step that drops it: when that has been run for all
 * the outputs of the step before it, and has made none.
 */
#include "cmd/trial.h"

#include "cmd/trial_note.h"
#include "port/adapters.h"

#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

struct trial_step {
	struct trial *trial;
	const struct plan_adapter *inner;
	size_t number; /* from 1 */
	struct step_ops ops;
	struct adapter adapter;
};

/* A step that is open: what its fibers are given. */
struct open_step {
	struct trial_step *of;
	struct step *inner;
};

struct trial {
	struct trial_options opts;
	struct plan plan;
	struct trial_step *steps;
	struct adapter source, sink, dead;
	struct source *inner; /* NULL: the item was given */
	struct weir_event *over;

	/* The item under way. */
	bool under_way;
	size_t pending; /* values that its step has still to be run with */
	size_t made;    /* outputs that it has made of the others */
	struct trial_note note;

	uint64_t taken;
	bool is_refused;
};

static void tell(const struct trial *trial, enum trial_event event)
{
	trial->opts.noted(trial->opts.arg, event, &trial->note.json);
}

static void begin_item(struct trial *trial, const struct item *item)
{
	trial->under_way = true;
	trial->taken++;
	trial->pending = 1;
	trial->made = 0;
	trial_note_begin(&trial->note, item);
	tell(trial, TRIAL_ITEM);
}

static void end_item(struct trial *trial, const char *result, const char *why)
{
	trial_note_end(&trial->note, result, why);
	tell(trial, TRIAL_END);
	trial->under_way = false;
	weir_event_set(trial->over);
}

/* ---- the source */

static int source_open(const void *config, const char *pipeline, struct source **ret_source, struct weir_error *err)
{
	struct trial *trial = (struct trial *)(uintptr_t)config;
	const struct plan_adapter *source = &trial->opts.plan->source;
	int code = weir_event_new(&trial->over);
	if (code)
		return weir_error_set(err, code, "out of memory");
	*ret_source = (struct source *)trial;
	code = trial->opts.item ? 0 : source->adapter->source->open(source->config, pipeline, &trial->inner, err);
	if (code)
		weir_event_free(trial->over);
	return code;
}

static int wait_for_end(struct trial *trial, weir_nsec deadline)
{
	int code = 0;
	while (trial->under_way && !code) {
		weir_event_clear(trial->over);
		code = weir_event_wait(trial->over, deadline);
	}
	return code;
}

static int take_given(const struct trial *trial, struct item *item, struct weir_error *err)
{
	item->position = 1;
	if (value_copy(&item->source, trial->opts.item, strlen(trial->opts.item)))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	return SOURCE_ITEM;
}

static int source_next(struct source *handle, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	struct trial *trial = (struct trial *)handle;
	int code = wait_for_end(trial, deadline);
	if (code)
		return weir_error_set(err, code, "%s", weir_strerror(code));
	if (trial->taken == (trial->opts.item ? 1 : trial->opts.items) || trial->is_refused)
		return SOURCE_END;
	code = trial->opts.item ? take_given(trial, item, err)
				: trial->opts.plan->source.adapter->source->next(trial->inner, item, err, deadline);
	if (code == SOURCE_ITEM || code == SOURCE_BAD)
		begin_item(trial, item);
	return code;
}

static int64_t source_total(const struct source *handle, bool *ret_exact)
{
	(void)handle;
	*ret_exact = false;
	return -1;
}

static bool source_identify(const struct source *handle, struct buf *identity)
{
	(void)handle;
	(void)identity;
	return false;
}

static void source_cursor(const struct source *handle, struct source_cursor *ret_cursor)
{
	(void)handle;
	*ret_cursor = (struct source_cursor){0};
}

static void source_close(struct source *handle)
{
	struct trial *trial = (struct trial *)handle;
	if (trial->inner)
		trial->opts.plan->source.adapter->source->close(trial->inner);
	trial->inner = NULL;
	weir_event_free(trial->over);
}

static const struct source_ops source_ops = {
	.open = source_open,
	.next = source_next,
	.total = source_total,
	.identify = source_identify,
	.cursor = source_cursor,
	.close = source_close,
};

/* ---- the steps */

static const struct step_ops *inner_ops(const struct trial_step *step)
{
	return step->inner->adapter->step;
}

static int step_open(const void *config, const struct step_env *env, struct step **ret_step, struct weir_error *err)
{
	struct trial_step *step = (struct trial_step *)(uintptr_t)config;
	struct open_step *open = malloc(sizeof *open);
	if (!open)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	*open = (struct open_step){.of = step};
	int code = inner_ops(step)->open(step->inner->config, env, &open->inner, err);
	if (code) {
		free(open);
		return code;
	}
	*ret_step = (struct step *)open;
	return 0;
}

static void count_value(struct trial *trial, size_t made)
{
	trial->made += made;
	if (--trial->pending)
		return;
	trial->pending = trial->made;
	trial->made = 0;
	if (!trial->pending)
		end_item(trial, "dropped", NULL);
}

/* What may work next time fails here: there is one attempt. */
static enum step_verdict step_run(struct step *handle, struct step_call *call)
{
	const struct open_step *open = (const struct open_step *)handle;
	struct trial *trial = open->of->trial;
	struct buf evidence = {0};
	struct step_call inner = *call;
	size_t before = call->outputs->n;
	inner.evidence = &evidence;
	inner.explain = true;
	weir_nsec begun = weir_clock();
	enum step_verdict verdict = inner_ops(open->of)->run(open->inner, &inner);
	const struct trial_run run = {.step = open->of->number,
				      .kind = open->of->adapter.name,
				      .call = &inner,
				      .before = before,
				      .verdict = verdict,
				      .evidence = &evidence,
				      .took = weir_clock() - begun};
	if (verdict != STEP_CANCELED) {
		trial_note_step(&trial->note, &run);
		tell(trial, TRIAL_STEP);
	}
	inner.evidence = call->evidence;
	inner.explain = call->explain;
	*call = inner;
	buf_fini(&evidence);
	if (verdict == STEP_OK && !call->permit->next) /* else there is more to come of this value */
		count_value(trial, call->outputs->n - before);
	trial->is_refused = trial->is_refused || verdict == STEP_REFUSED;
	return verdict == STEP_RETRY || verdict == STEP_REFUSED ? STEP_DEAD : verdict;
}

static void step_close(struct step *handle)
{
	struct open_step *open = (struct open_step *)handle;
	inner_ops(open->of)->close(open->inner);
	free(open);
}

static const char *step_upstream(const struct step *handle, const struct step_call *call,
				 char room[STEP_UPSTREAM_BYTES])
{
	const struct open_step *open = (const struct open_step *)handle;
	return inner_ops(open->of)->upstream(open->inner, call, room);
}

static bool step_reads_meta(const void *config)
{
	const struct trial_step *step = config;
	return inner_ops(step)->reads_meta && inner_ops(step)->reads_meta(step->inner->config);
}

static unsigned step_held(const void *config)
{
	const struct trial_step *step = config;
	return inner_ops(step)->held ? inner_ops(step)->held(step->inner->config) : 0;
}

static void wrap_step(struct trial *trial, size_t at)
{
	struct trial_step *step = &trial->steps[at];
	*step = (struct trial_step){.trial = trial, .inner = &trial->opts.plan->steps[at], .number = at + 1};
	step->ops = (struct step_ops){
		.open = step_open,
		.run = step_run,
		.close = step_close,
		.upstream = inner_ops(step)->upstream ? step_upstream : NULL,
		.reads_meta = step_reads_meta,
		.held = step_held,
		.descriptors = inner_ops(step)->descriptors,
	};
	step->adapter = *step->inner->adapter;
	step->adapter.step = &step->ops;
	trial->plan.steps[at] = (struct plan_adapter){.adapter = &step->adapter, .config = step};
}

/* ---- the sink, and that of the dead letters */

static int open_sink(const void *config, const struct sink_env *env, struct sink **ret_sink, struct weir_error *err)
{
	(void)env;
	(void)err;
	*ret_sink = (struct sink *)(uintptr_t)config;
	return 0;
}

static int close_sink(struct sink *handle, struct weir_error *err)
{
	(void)handle;
	(void)err;
	return 0;
}

struct rows_job {
	const struct plan_adapter *sink;
	struct sink_item *item;
	struct trial_note *note;
};

static int make_row(const struct rows_job *job, const struct value *output)
{
	const struct sink_ops *ops = job->sink->adapter->sink;
	struct buf row = {0};
	int code = ops->row ? ops->row(job->sink->config, output, &row, job->item->why)
			    : buf_add(&row, output->data, output->len);
	if (!code)
		trial_note_row(job->note, row.data, row.len);
	buf_fini(&row);
	return code;
}

/* On a thread. */
static int make_rows(void *arg)
{
	const struct rows_job *job = arg;
	const struct value_list *outputs = &job->item->item->outputs;
	int code = 0;
	for (size_t i = 0; i < outputs->n && !code; i++)
		code = make_row(job, &outputs->values[i]);
	job->item->verdict = code == WEIR_EDATA ? code : 0;
	return code == WEIR_EDATA ? 0 : code;
}

static int write_rows(struct sink *handle, struct sink_item *items, size_t n, struct weir_error *err,
		      weir_nsec deadline)
{
	struct trial *trial = (struct trial *)handle;
	for (size_t i = 0; i < n; i++) {
		struct rows_job job = {.sink = &trial->opts.plan->sink, .item = &items[i], .note = &trial->note};
		trial_note_no_rows(&trial->note);
		int code = weir_offload(make_rows, &job, deadline);
		if (code)
			return weir_error_set(err, code, "cannot make the row: %s", weir_strerror(code));
		if (items[i].verdict)
			trial_note_no_rows(&trial->note); /* all of an item's or none */
		else
			end_item(trial, "ok", NULL);
	}
	return 0;
}

static int write_letters(struct sink *handle, struct sink_item *items, size_t n, struct weir_error *err,
			 weir_nsec deadline)
{
	(void)err;
	(void)deadline;
	for (size_t i = 0; i < n; i++) {
		items[i].verdict = 0;
		end_item((struct trial *)handle, "failed", item_why(items[i].item));
	}
	return 0;
}

static const struct sink_ops row_ops = {.open = open_sink, .write = write_rows, .close = close_sink};
static const struct sink_ops letter_ops = {.open = open_sink, .write = write_letters, .close = close_sink};

/* ---- the plan */

/* One item at a time, one attempt, and nothing that ends or slows it but its own rate. */
static void change_settings(struct plan_settings *settings)
{
	settings->pattern = WEIR_PATTERN_QUEUE;
	settings->concurrency = 1;
	settings->retry_attempts = 1;
	settings->breaker_off = true;
	settings->breaker_give_up = 0;
	settings->priority_field = settings->order_by = NULL;
	settings->priority_sla = (struct key_times){0};
	settings->max_memory = 0;
	settings->stop_dead = 0;
	settings->stop_of_last = settings->stop_in_a_row = 0;
	settings->stop_denied = 0;
	settings->drain = 0;
}

static void change_plan(struct trial *trial)
{
	struct plan *plan = &trial->plan;
	trial->source = (struct adapter){
		.kind = ADAPTER_SOURCE, .name = trial->opts.plan->source.adapter->name, .source = &source_ops};
	trial->sink =
		(struct adapter){.kind = ADAPTER_SINK, .name = trial->opts.plan->sink.adapter->name, .sink = &row_ops};
	trial->dead = (struct adapter){.kind = ADAPTER_SINK, .name = "dead_letter", .sink = &letter_ops};
	plan->source = (struct plan_adapter){.adapter = &trial->source, .config = trial};
	plan->broker = (struct plan_adapter){.adapter = &broker_memory_adapter};
	plan->sink = (struct plan_adapter){.adapter = &trial->sink, .config = trial};
	plan->dead_letter = (struct plan_adapter){.adapter = &trial->dead, .config = trial};
	change_settings(&plan->settings);
	for (size_t i = 0; i < plan->step_count; i++)
		wrap_step(trial, i);
}

int trial_new(const struct trial_options *opts, struct trial **ret_trial)
{
	struct trial *trial = calloc(1, sizeof *trial);
	if (!trial)
		return WEIR_ENOMEM;
	trial->opts = *opts;
	trial->plan = *opts->plan;
	trial->steps = calloc(opts->plan->step_count + 1, sizeof *trial->steps);
	trial->plan.steps = calloc(opts->plan->step_count + 1, sizeof *trial->plan.steps);
	if (!trial->steps || !trial->plan.steps) {
		trial_free(trial);
		return WEIR_ENOMEM;
	}
	change_plan(trial);
	*ret_trial = trial;
	return 0;
}

void trial_free(struct trial *trial)
{
	if (!trial)
		return;
	free(trial->steps);
	free(trial->plan.steps);
	trial_note_fini(&trial->note);
	free(trial);
}

const struct plan *trial_plan(const struct trial *trial)
{
	return &trial->plan;
}

bool trial_was_refused(const struct trial *trial)
{
	return trial->is_refused;
}
