/* SPDX-License-Identifier: MIT */
/*
 * The items' way through the steps, as jobs of weir_process(), which decides how many at once, how fast, and how often
 * again:
 *
 *     lease --> produce --> work (run_steps) --> done --> to a lane, a dead letter, or back to the broker
 *       ^                                    '-> postpone --.
 *       '------------------- broker, until due -------------'
 *
 * A retry waits in the broker, so it holds no place and survives a kill.  Only that of an item of a lane
 * (flow.order_by) waits in memory, since the others of its lane must wait for it; there the broker is told of each
 * attempt, and after a kill the item is tried again at once.
 */
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

struct job {
	struct item *item;
};

/* --- the steps --- */

static enum step_verdict run_value(struct engine *engine, size_t at, struct step_call *call)
{
	const struct step_ops *ops = engine->plan->steps[at].adapter->step;
	struct weir_sem *places = engine->step_places[at];
	int code = places ? weir_sem_acquire(places, 1, WEIR_FOREVER) : 0;
	if (code == WEIR_ETIMEDOUT) /* of the attempt */
		snprintf(call->why, sizeof call->why, "timeout: the step had no place in time");
	if (code)
		return code == WEIR_ETIMEDOUT ? STEP_RETRY : STEP_CANCELED;
	enum step_verdict verdict = ops->run(engine->steps[at], call);
	if (places)
		weir_sem_release(places, 1);
	return verdict;
}

/* Runs one step over all values; *values is replaced by what came out. */
static enum step_verdict run_step(struct engine *engine, size_t at, struct step_call *call, struct value_list *values)
{
	enum step_verdict verdict = STEP_OK;
	for (size_t i = 0; i < values->n && verdict == STEP_OK; i++) {
		call->input = &values->values[i];
		verdict = run_value(engine, at, call);
	}
	value_list_fini(values);
	*values = *call->outputs;
	*call->outputs = (struct value_list){0};
	return verdict;
}

static enum step_verdict run_steps(struct engine *engine, struct item *item, struct step_call *call)
{
	struct value first = {0};
	enum step_verdict verdict = STEP_OK;
	value_list_fini(&item->outputs); /* of a try before this one */
	if (value_copy(&first, item->source.data, item->source.len) || value_list_take(&item->outputs, &first)) {
		strcpy(call->why, "out of memory");
		return STEP_RETRY;
	}
	for (size_t i = 0; i < engine->plan->step_count && verdict == STEP_OK && item->outputs.n; i++)
		verdict = run_step(engine, i, call, &item->outputs);
	return verdict;
}

/* --- what weir_process() calls --- */

/* How many items may be under way: what memory allows, and for patterns that take all there are (each is a fiber) what
 * could be in the steps. */
static size_t places(const struct engine *engine)
{
	int pattern = engine->plan->settings.pattern;
	bool takes_all = pattern == WEIR_PATTERN_SEMAPHORE || pattern == WEIR_PATTERN_NAIVE;
	size_t most = takes_all ? engine->most : SIZE_MAX;
	return most < engine->memory.room ? most : engine->memory.room;
}

/* An item less is under way. */
static void leave(struct engine *engine)
{
	engine->under_way--;
	if (engine->under_way < places(engine))
		weir_event_set(engine->has_room);
}

static int wait_for_room(struct engine *engine, weir_nsec deadline)
{
	int code = 0;
	while (engine->under_way >= places(engine) && !code) {
		weir_event_clear(engine->has_room);
		code = weir_event_wait(engine->has_room, deadline);
	}
	return code;
}

/* Whether the item's next try, at `due`, would be too late: what to say of it, or NULL.  excused: the last one was no
 * fault of its own. */
static const char *find_too_late(const struct engine *engine, const struct item *item, weir_nsec due, bool excused)
{
	const struct plan_settings *settings = &engine->plan->settings;
	if (settings->timeout_total && due >= item->taken + settings->timeout_total)
		return "flow.timeout.total";
	if (settings->timeout_queue && !item->tried && due >= item->taken + settings->timeout_queue)
		return "flow.timeout.queue";
	if (settings->retry_elapsed && item->tried && !excused && due > item->tried + settings->retry_elapsed)
		return "flow.retry.elapsed";
	return NULL;
}

static void bury_late(struct engine *engine, struct item *item, const char *limit)
{
	char why[sizeof item->why];
	memcpy(why, item->why, sizeof why);
	item_set_why(item, "timeout: %s%s%.200s", limit, why[0] ? ", after " : "", why);
	engine_bury(engine, item);
}

static int produce(void *arg, void *ret_job, weir_nsec deadline)
{
	struct engine *engine = arg;
	struct job *job = ret_job;
	struct weir_error err = {0};
	for (;;) {
		int code = wait_for_room(engine, deadline);
		if (!code)
			code = engine->broker_ops->lease(engine->broker, &job->item, 1, &err, deadline);
		if (code == 1 && !job->item->taken)
			job->item->taken = weir_now();
		const char *late = code == 1 ? find_too_late(engine, job->item, weir_now(), true) : NULL;
		if (code == 1 && job->item->bad) {
			engine_bury(engine, job->item);
		} else if (late) {
			bury_late(engine, job->item, late);
		} else if (code == 1) {
			engine->under_way++;
			return 0;
		} else {
			if (err.code)
				engine_fail(engine, EX_IOERR, &err);
			return code;
		}
	}
}

/* What the verdict is called in the words of the library. */
static int answer(struct engine *engine, struct item *item, struct weir_attempt *attempt, const struct step_call *call,
		  enum step_verdict verdict)
{
	attempt->not_before = call->not_before;
	attempt->told = call->told;
	attempt->took = call->took;
	if (verdict != STEP_REFUSED && verdict != STEP_CANCELED) {
		item->attempts++;
		engine->attempts++;
	}
	if (verdict != STEP_OK)
		item_set_why(item, "%s", call->why);
	if (verdict == STEP_RETRY && engine->plan->settings.order_by && engine->broker_ops->note)
		engine->broker_ops->note(engine->broker, item);
	switch (verdict) {
	case STEP_OK:
		return 0;
	case STEP_RETRY:
		engine->retries += !attempt->last;
		memcpy(engine->last_failure, call->why, sizeof engine->last_failure);
		return WEIR_EIO;
	case STEP_REFUSED:
		engine->refused++;
		attempt->refund = true;
		attempt->outcome = call->throttled ? WEIR_OUTCOME_THROTTLED : WEIR_OUTCOME_RELEASED;
		return WEIR_EAGAIN;
	case STEP_DEAD: /* the item is to blame, not what the steps are made with */
		attempt->permanent = true;
		attempt->outcome = WEIR_OUTCOME_GOOD;
		return WEIR_EDATA;
	case STEP_CANCELED:
		break;
	}
	return WEIR_ECANCELED;
}

static int work(void *at, struct weir_attempt *attempt, void *arg)
{
	struct engine *engine = arg;
	struct item *item = ((struct job *)at)->item;
	struct value_list outputs = {0};
	struct step_call call = {
		.item = item,
		.outputs = &outputs,
		.attempt = item->attempts + 1,
		.last_attempt = attempt->last,
	};
	weir_nsec queue = engine->plan->settings.timeout_queue;
	call.queue_until = queue && !item->tried ? item->taken + queue : 0;
	if (engine->state != ENGINE_RUNNING) /* taken, and not begun */
		return WEIR_ECANCELED;
	weir_nsec begun = weir_clock(); /* not weir_now(): a fast answer comes within one turn of the loop */
	engine->in_flight++;
	enum step_verdict verdict = run_steps(engine, item, &call);
	engine->in_flight--;
	if (!item->tried && (call.tries || (verdict != STEP_CANCELED && verdict != STEP_REFUSED))) {
		item->tried = weir_now();
		engine_class_begins(engine, item, begun - item->born + call.waited);
	}
	if (verdict != STEP_CANCELED && verdict != STEP_REFUSED)
		weir_histogram_record(engine->attempt_ns, weir_clock() - begun - call.waited);
	return answer(engine, item, attempt, &call, verdict);
}

/* What has cut short an item that had tries left: the limit that comes first, since its next try was beyond one. */
static const char *find_cut(const struct engine *engine, const struct item *item, const struct weir_attempt *last)
{
	const struct plan_settings *settings = &engine->plan->settings;
	bool excused = last->refund || last->outcome == WEIR_OUTCOME_THROTTLED;
	bool counts = settings->retry_elapsed && !excused;
	if (last->permanent || item->attempts >= settings->retry_attempts)
		return NULL;
	if (counts &&
	    (!settings->timeout_total || item->tried + settings->retry_elapsed < item->taken + settings->timeout_total))
		return "flow.retry.elapsed";
	return settings->timeout_total ? "flow.timeout.total" : NULL;
}

static int done(void *arg, void *at, int result, const struct weir_attempt *last)
{
	struct engine *engine = arg;
	struct item *item = ((struct job *)at)->item;
	const char *cut = result < 0 ? find_cut(engine, item, last) : NULL;
	leave(engine);
	engine->in_hand++;
	if (result == WEIR_ETIMEDOUT)
		item_set_why(item, "timeout: %s", item->tried ? "flow.timeout.total" : "flow.timeout.queue");
	if (result >= 0)
		engine_pass(engine, item);
	else if (result == WEIR_ECANCELED || result == WEIR_ECLOSED)
		engine_give_back(engine, item);
	else if (cut && result != WEIR_ETIMEDOUT)
		bury_late(engine, item, cut);
	else
		engine_bury(engine, item);
	engine->in_hand--;
	return 0;
}

static int postpone(void *arg, void *at, weir_nsec due, const struct weir_attempt *last)
{
	struct item *item = ((struct job *)at)->item;
	bool excused = last->refund || last->outcome == WEIR_OUTCOME_THROTTLED;
	const char *late = find_too_late(arg, item, due, excused);
	leave(arg);
	if (late)
		bury_late(arg, item, late);
	else
		engine_postpone(arg, item, due);
	return 0;
}

static unsigned attempts(void *arg, const void *at)
{
	(void)arg;
	return ((const struct job *)at)->item->attempts;
}

static int64_t class_of(void *arg, const void *at)
{
	(void)arg;
	return ((const struct job *)at)->item->class;
}

static uint64_t lane_of(void *arg, const void *at)
{
	return engine_lane_of(arg, ((const struct job *)at)->item);
}

static void chosen(void *arg, const struct weir_choice *choice)
{
	engine_note(arg, "auto: %s", choice->why);
}

int engine_work(void *arg)
{
	struct engine *engine = arg;
	const struct plan_settings *settings = &engine->plan->settings;
	bool exact;
	int64_t jobs = engine->source_ended ? 0 : engine->source_ops->total(engine->source, &exact);
	const struct weir_process process = {
		.policy = engine->policy,
		.job_bytes = sizeof(struct job),
		.arg = engine,
		.flags = engine->gated ? WEIR_PROCESS_OWN_GATES : 0,
		.jobs = jobs > 0 ? (uint64_t)jobs : 0,
		.produce = produce,
		.work = work,
		.done = done,
		.priority = settings->priority_field ? class_of : NULL,
		.lane = settings->order_by ? lane_of : NULL,
		.postpone = postpone,
		.attempts = attempts,
		.chosen = chosen,
	};
	int code = weir_process(&process, NULL, WEIR_FOREVER);
	if (code && code != WEIR_ECANCELED && !engine->failed_exit) {
		struct weir_error err = {0};
		weir_error_set(&err, code, "cannot run the steps: %s", weir_strerror(code));
		engine_fail(engine, EX_UNAVAILABLE, &err);
	}
	return 0;
}
