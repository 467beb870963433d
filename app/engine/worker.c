/* SPDX-License-Identifier: MIT */
/*
 * The items' way through the steps, as jobs of weir_process(), which decides how many at once, how fast, and how often
 * again:
 *
 *     lease --> produce --> work (run_steps) --> done --> to an output, a dead letter, or back to the broker
 *       ^                                    '-> postpone --.
 *       '------------------- broker, until due -------------'
 *
 * A job names the upstream of its next call, gets a fiber when it may make that, and gives the permit back when it has
 * ended.  So an item goes through steps that call upstreams in several legs: when it comes to a call for which it has
 * no permit, it waits for that upstream like all others, and goes on from there.  A step may ask for a leg itself, when
 * an answer sends it to another upstream.
 *
 * What an upstream has answered is kept with the item (job.h) once the item comes to a further call, or leaves:
 * whatever happens then, it goes on from there.  A broker that outlives the process has it before that call begins.
 *
 * A retry waits in the broker, so it holds no place and survives a kill.  Only that of an item with an ordering key
 * (flow.order_by) waits in memory, since the others of its key must wait for it; there the broker is told of each
 * attempt, and after a kill the item is attempted again immediately.
 */
#include "engine/job.h"

#include "data/units.h"

#include <stdio.h>
#include <string.h>

/* --- the steps --- */

/* Whether the step's next run may be: it calls nobody, or has a permit; else attempt->next says for whom. */
static bool may_run(struct engine *engine, struct engine_job *job, struct step_call *call)
{
	struct weir_attempt *attempt = call->permit;
	const struct step_ops *ops = engine->life.plan->steps[job->step].adapter->step;
	bool named = job->named;
	if (!ops->upstream || attempt->cut)
		return true;
	job->named = false;
	if (named && attempt->gate && weir_attempt_may_call(attempt, attempt->upstream))
		return true;
	const char *key = ops->upstream(engine->steps.all[job->step], call, engine->steps.upstream);
	if (!key || weir_attempt_may_call(attempt, key))
		return true;
	attempt->next = key;
	return false;
}

static enum step_verdict run_value(struct engine *engine, size_t at, struct step_call *call)
{
	const struct step_ops *ops = engine->life.plan->steps[at].adapter->step;
	struct weir_sem *places = engine->steps.places[at];
	int code = places ? weir_sem_acquire(places, 1, WEIR_FOREVER) : 0;
	if (code == WEIR_ETIMEDOUT) /* of the attempt */
		snprintf(call->why, sizeof call->why, "timeout: no free slot in the step in time");
	if (code)
		return code == WEIR_ETIMEDOUT ? STEP_RETRY : STEP_CANCELED;
	engine->load.in_local += !ops->upstream;
	enum step_verdict verdict = ops->run(engine->steps.all[at], call);
	engine->load.in_local -= !ops->upstream;
	if (places)
		weir_sem_release(places, 1);
	return verdict;
}

static bool forgets(const struct plan_adapter *step)
{
	return step->adapter->step->forgets && step->adapter->step->forgets(step->config);
}

/* One value through one step. */
static enum step_verdict run_one(struct engine *engine, struct engine_job *job, struct step_call *call, bool calls)
{
	const struct plan_adapter *step = &engine->life.plan->steps[job->step];
	size_t made = job->made.n;
	bool is_noted = job->note;
	if (calls && engine_job_keep(engine, job, made) && !engine_extend(&engine->store, job->item))
		return STEP_CANCELED; /* another worker has the item now, and makes the call */
	if (!may_run(engine, job, call))
		return STEP_OK;
	enum step_verdict verdict = run_value(engine, job->step, call);
	if (verdict == STEP_WAIT)
		return is_noted ? verdict : engine_job_note(engine, job, made, call);
	if (verdict == STEP_RETRY && call->rejects)
		engine_job_reject(job);
	else if (verdict != STEP_OK && verdict != STEP_DEAD)
		engine_job_keep(engine, job, made);
	if (verdict == STEP_OK && calls && !call->permit->next) /* else there is no output yet */
		job->is_news = !forgets(step);
	return verdict;
}

/* Runs one step over what is left of what came out of the one before, or over the source; it is replaced by what came
 * out of this.  Not so if attempt->next. */
static enum step_verdict run_step(struct engine *engine, struct engine_job *job, struct step_call *call)
{
	struct item *item = job->item;
	const struct plan_adapter *step = &engine->life.plan->steps[job->step];
	bool calls = step->adapter->step->upstream, is_traced = call->tracing.tracer && !calls;
	size_t n = job->step ? item->outputs.n : 1;
	weir_nsec begun = is_traced ? weir_clock() : 0;
	enum step_verdict verdict = STEP_OK;
	call->note = &job->note;
	for (; job->value < n && verdict == STEP_OK; job->value++) {
		call->input = job->step ? &item->outputs.values[job->value] : &item->source;
		call->value = job->value;
		verdict = run_one(engine, job, call, calls);
		if (call->permit->next)
			return STEP_OK;
		engine_job_forget_note(job);
	}
	if (is_traced)
		trace_step(&call->tracing, step->adapter->name, job->step + 1, begun,
			   verdict == STEP_OK ? NULL : call->why);
	if (calls) {
		job->is_old = false;
		job->forgets = forgets(step);
	}
	value_list_fini(&item->outputs);
	item->outputs = job->made;
	job->made = (struct value_list){0};
	job->value = 0;
	return verdict;
}

static void keep_evidence(const struct engine *engine, struct item *item, size_t step, const struct step_call *call)
{
	char number[16];
	snprintf(number, sizeof number, "%zu", step + 1);
	engine_set_evidence(engine->life.opts.tracer, item, number, engine->life.plan->steps[step].adapter->name,
			    call->evidence);
}

static enum step_verdict run_steps(struct engine *engine, struct engine_job *job, struct step_call *call)
{
	struct item *item = job->item;
	enum step_verdict verdict = STEP_OK;
	bool goes_on = job->goes_on;
	job->goes_on = false;
	if (!goes_on && engine_job_begin(engine, job)) {
		strcpy(call->why, "out of memory");
		return STEP_RETRY;
	}
	while (job->step < engine->life.plan->step_count && verdict == STEP_OK && (!job->step || item->outputs.n)) {
		verdict = run_step(engine, job, call);
		if (call->permit->next)
			break;
		if (step_wants_evidence(call, verdict))
			keep_evidence(engine, item, job->step, call);
		job->step += verdict == STEP_OK;
	}
	job->goes_on = job->named = call->permit->next;
	return verdict;
}

/* --- what weir_process() calls --- */

/* How many items may be under way: none, while others have all of a limit; what memory allows, and for patterns that
 * take all there are (each is a fiber) what could be in the steps. */
static size_t places(const struct engine *engine)
{
	int pattern = engine->life.plan->settings.pattern;
	bool takes_all = pattern == WEIR_PATTERN_SEMAPHORE || pattern == WEIR_PATTERN_NAIVE;
	size_t most = takes_all ? engine->pace.most : SIZE_MAX;
	if (engine_shares_hold(engine->shares) != WHY_END)
		return 0;
	return most < engine->load.memory.room ? most : engine->load.memory.room;
}

/* An item less is under way: what waits from here on is text. */
static void leave(struct engine *engine, struct item *item)
{
	value_forget(&item->source);
	engine->load.under_way--;
	engine->load.memory.ended++;
	engine_order_look(engine->order);
	if (engine->load.under_way < places(engine))
		weir_event_set(engine->load.has_room);
}

static int wait_for_room(struct engine *engine, weir_nsec deadline)
{
	int code = 0;
	while (engine->load.under_way >= places(engine) && !code) {
		weir_event_clear(engine->load.has_room);
		code = weir_event_wait(engine->load.has_room, deadline);
	}
	return code;
}

static int produce(void *arg, void *ret_job, weir_nsec deadline)
{
	struct engine *engine = arg;
	struct engine_job *job = ret_job;
	for (;;) {
		struct item *item = NULL;
		int code = wait_for_room(engine, deadline);
		engine->load.starving = !code;
		weir_nsec asked = weir_now();
		if (!code)
			code = engine_lease(&engine->store, &item, deadline);
		engine->load.starved += weir_now() - asked;
		engine->load.starving = false;
		if (!item)
			return code;
		code = item->bad ? WEIR_EDATA : engine_make_key(engine->life.plan, item);
		if (!code) {
			*job = (struct engine_job){.item = item, .named = true};
			job->goes_on = item->record.data && !engine_job_begin(engine, job);
			engine->load.under_way++;
			return 0;
		}
		if (code == WEIR_ENOMEM) {
			engine_give_back(&engine->store, item);
			return code;
		}
		engine_set_evidence(engine->life.opts.tracer, item, "\"source\"",
				    engine->life.plan->source.adapter->name, NULL);
		engine_bury(engine, item);
	}
}

/* What the call has shown of its upstream, as far as the step has not said it: nothing without a call, and that it is
 * well when it is another step that fails. */
static void set_outcome(const struct engine *engine, const struct engine_job *job, struct weir_attempt *attempt,
			enum step_verdict verdict)
{
	bool is_unused = attempt->gate && weir_attempt_may_call(attempt, attempt->upstream);
	if (!engine->steps.gated && verdict == STEP_REFUSED)
		attempt->outcome = WEIR_OUTCOME_RELEASED;
	else if (!engine->steps.gated &&
		 verdict == STEP_DEAD) /* the item is to blame, not what the steps are made with */
		attempt->outcome = WEIR_OUTCOME_GOOD;
	else if (engine->steps.gated && !engine->life.plan->steps[job->step].adapter->step->upstream)
		attempt->outcome = WEIR_OUTCOME_GOOD;
	else if (engine->steps.gated && is_unused)
		attempt->outcome = WEIR_OUTCOME_RELEASED;
}

/* As what a server asks for is. */
static weir_nsec cut_after(const struct engine *engine, weir_nsec after)
{
	weir_nsec most = engine->life.plan->settings.max_retry_after;
	return most && after > most ? most : after;
}

/* Whether it uses up an attempt. */
static bool uses_up(enum step_verdict verdict)
{
	return verdict != STEP_REFUSED && verdict != STEP_CANCELED && verdict != STEP_WAIT;
}

static bool is_failure(enum step_verdict verdict)
{
	return verdict == STEP_RETRY || verdict == STEP_REFUSED || verdict == STEP_DEAD;
}

/* What the verdict is called in the words of the library. */
static int answer(struct engine *engine, const struct engine_job *job, struct weir_attempt *attempt,
		  const struct step_call *call, enum step_verdict verdict)
{
	struct item *item = job->item;
	if (uses_up(verdict) && !call->given_up) {
		item->attempts++;
		engine->tally.attempts++;
	}
	if (verdict == STEP_OK)
		return 0;
	item_set_why(item, "%s", call->why);
	set_outcome(engine, job, attempt, verdict);
	if (call->after > 0)
		attempt->not_before = weir_now() + cut_after(engine, call->after);
	if (verdict == STEP_RETRY && engine->life.plan->settings.order_by)
		engine_extend(&engine->store, item);
	switch (verdict) {
	case STEP_RETRY:
		engine->tally.retries[attempt->outcome] += !attempt->last;
		snprintf(engine->pace.last_failure, sizeof engine->pace.last_failure, "%s", item_why(item));
		return WEIR_EIO;
	case STEP_REFUSED:
		if (call->stop)
			engine_give_up(&engine->life, "%s", item_why(item));
		engine->tally.refused++;
		attempt->refund = true;
		if (call->pause)
			engine_pause(engine, item_why(item));
		return WEIR_EIO;
	case STEP_WAIT:
		attempt->outcome = WEIR_OUTCOME_GOOD;
		attempt->refund = true;
		attempt->hint.retry_after = call->after;        /* instead of a backoff, */
		attempt->not_before = weir_now() + call->after; /* however long */
		return WEIR_EIO;
	case STEP_DEAD:
		attempt->permanent = true;
		return WEIR_EDATA;
	default:
		return WEIR_ECANCELED;
	}
}

/* What is known before an attempt. */
static struct step_call first_call(const struct engine *engine, const struct item *item)
{
	return (struct step_call){
		.run = engine->life.run, .item = item, .input = &item->source, .attempt = item->attempts + 1};
}

static int work(void *at, struct weir_attempt *attempt, void *arg)
{
	struct engine *engine = arg;
	struct engine_job *job = at;
	struct item *item = job->item;
	struct buf evidence = {0};
	struct step_call call = first_call(engine, item);
	call.permit = attempt;
	call.outputs = &job->made;
	call.leg = &job->leg;
	call.last_attempt = attempt->last;
	call.may_die = attempt->may_be_last;
	call.evidence = &evidence;
	if (engine->life.state != ENGINE_RUNNING) /* taken, and not begun */
		return WEIR_ECANCELED;
	weir_nsec begun = weir_clock(); /* not weir_now(): a fast answer comes within one turn of the loop */
	tracer_attempt(engine->life.opts.tracer, item, begun);
	call.tracing = (struct tracing){engine->life.opts.tracer, item};
	engine->load.in_flight++;
	enum step_verdict verdict = run_steps(engine, job, &call);
	buf_fini(&evidence);
	engine->load.in_flight--;
	if (attempt->next)
		return WEIR_EAGAIN;
	bool counts = uses_up(verdict);
	weir_nsec ended = weir_clock();
	tracer_attempt_ended(engine->life.opts.tracer, item, counts && !call.given_up,
			     is_failure(verdict) ? call.why : NULL, ended);
	if (!item->attempted && (call.sent || counts)) {
		item->attempted = true;
		engine_class_begins(&engine->classes, item, begun - item->born);
	}
	if (counts)
		weir_histogram_record(engine->tally.attempt_ns, ended - begun);
	return answer(engine, job, attempt, &call, verdict);
}

static const char *name_limit(enum weir_cut cut)
{
	switch (cut) {
	case WEIR_CUT_ELAPSED:
		return "flow.retry.elapsed";
	case WEIR_CUT_QUEUE:
		return "flow.timeout.queue";
	case WEIR_CUT_TOTAL:
		return "flow.timeout.total";
	default:
		return NULL;
	}
}

static void say_why(const struct engine *engine, struct item *item, int result, enum weir_cut cut)
{
	const char *limit = name_limit(cut);
	if (engine->steps.gated && !item->why)
		item_set_why(item, "gate: timed out waiting for the upstream");
	if (limit)
		item_set_why(item, "timeout: %s%s%.200s", limit, item->why ? ", after " : "", item_why(item));
	else if (!item->why)
		item_set_why(item, "%s", weir_strerror(result));
}

static int done(void *arg, void *at, int result, const struct weir_attempt *last)
{
	struct engine *engine = arg;
	struct engine_job *job = at;
	struct item *item = job->item;
	engine_job_forget(job);
	leave(engine, item);
	engine->load.in_hand++;
	if (result >= 0) {
		if (job->step && !item->outputs.n)
			engine->tally.dropped[job->step - 1]++;
		engine_pass(engine, item);
	} else if (result == WEIR_ECANCELED || result == WEIR_ECLOSED) {
		engine_give_back(&engine->store, item);
	} else {
		say_why(engine, item, result, last->cut);
		engine_bury(engine, item);
	}
	engine->load.in_hand--;
	return 0;
}

static int postpone(void *arg, void *at, weir_nsec due, const struct weir_attempt *last)
{
	struct engine *engine = arg;
	struct engine_job *job = at;
	engine->tally.refused += !last->call; /* nothing was tried: its upstream lets it wait */
	engine_job_forget(job);
	leave(engine, job->item);
	engine_postpone(&engine->store, job->item, due);
	return 0;
}

static struct weir_attempts *attempts_of(void *arg, void *at)
{
	struct item *item = ((struct engine_job *)at)->item;
	(void)arg;
	item->attempt_state.counted = item->attempts;
	item->attempt_state.history = &item->history;
	return &item->attempt_state;
}

/* Whom an item calls first; those whose next step calls nobody say it when they come to it. */
static const char *upstream_of(void *arg, const void *at)
{
	struct engine *engine = arg;
	const struct engine_job *job = at;
	if (!engine->steps.gated)
		return "";
	const struct step_ops *next = engine->life.plan->steps[job->step].adapter->step;
	struct step_call call = first_call(engine, job->item);
	char *note = job->note;
	call.note = &note;
	if (job->step)
		call.input = &job->item->outputs.values[job->value];
	return next->upstream ? next->upstream(engine->steps.all[job->step], &call, engine->steps.upstream) : NULL;
}

static int64_t class_of(void *arg, const void *at)
{
	(void)arg;
	return ((const struct engine_job *)at)->item->class;
}

static uint64_t ordering_key_of(void *arg, const void *at)
{
	const struct engine *engine = arg;
	return engine_ordering_key(engine->life.plan, engine->pace.seed, ((const struct engine_job *)at)->item);
}

static void chosen(void *arg, const struct weir_choice *choice)
{
	const struct engine *engine = arg;
	char number[32], rate[40] = "";
	if (choice->per_sec > 0)
		snprintf(rate, sizeof rate, ", at most %s", units_per_second_text(choice->per_sec, number));
	engine_note(&engine->life, "auto: %s call%s at a time%s",
		    choice->concurrency ? units_number_text(choice->concurrency, number) : "all",
		    choice->concurrency == 1 ? "" : "s", rate);
}

int engine_work(void *arg)
{
	struct engine *engine = arg;
	const struct plan_settings *settings = &engine->life.plan->settings;
	bool exact;
	int64_t jobs = engine->input.ended || !engine->input.source
			       ? 0
			       : engine->input.ops->total(engine->input.source, &exact);
	const struct weir_process process = {
		.policy = engine->pace.policy,
		.job_bytes = sizeof(struct engine_job),
		.arg = engine,
		.flags = WEIR_PROCESS_TELL,
		.jobs = jobs > 0 ? (uint64_t)jobs : 0,
		.produce = produce,
		.work = work,
		.done = done,
		.priority = settings->priority_field ? class_of : NULL,
		.ordering_key = settings->order_by ? ordering_key_of : NULL,
		.postpone = postpone,
		.key = upstream_of,
		.attempts = attempts_of,
		.chosen = chosen,
	};
	int code = weir_process(&process, NULL, WEIR_FOREVER);
	if (code && code != WEIR_ECANCELED && !engine->life.failed_exit) {
		struct weir_error err = {0};
		weir_error_set(&err, code, "cannot run the steps: %s", weir_strerror(code));
		engine_fail(&engine->life, EX_UNAVAILABLE, &err);
	}
	return 0;
}
