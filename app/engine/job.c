/* SPDX-License-Identifier: MIT */
#include "engine/job.h"

#include "engine/memo.h"

#include <stdlib.h>

static void forget_leg(struct engine_job *job)
{
	free(job->leg);
	job->leg = NULL;
}

int engine_job_begin(const struct engine *engine, struct engine_job *job)
{
	size_t steps = engine->life.plan->step_count;
	struct item *item = job->item;
	struct memo memo = {0};
	struct value whole;
	forget_leg(job);
	value_list_fini(&item->outputs);
	value_fini(&item->evidence);
	int code = item->record.data ? memo_read(&item->record, engine->steps.numbers, steps, &memo) : 0;
	if (!steps) {
		code = value_hand_on(&whole, &item->source);
		code = code ? code : value_list_take(&memo.values, &whole);
	}
	item->outputs = memo.values;
	job->made = memo.made;
	job->note = memo.note;
	job->step = memo.step;
	job->value = memo.value;
	job->is_news = job->forgets = false;
	job->is_old = item->record.data && !code;
	return code == WEIR_ENOMEM ? code : 0;
}

static int write_record(const struct engine *engine, struct engine_job *job, size_t made)
{
	struct item *item = job->item;
	struct memo memo = {
		.step = job->step, .value = job->value, .values = item->outputs, .made = job->made, .note = job->note};
	struct value record;
	memo.made.n = made;
	int code = memo_write(&memo, engine->steps.numbers, &record);
	if (code)
		return code;
	value_fini(&item->record);
	item->record = record;
	job->is_old = true;
	return 0;
}

bool engine_job_keep(const struct engine *engine, struct engine_job *job, size_t made)
{
	bool is_worth_it = job->is_news && !job->forgets;
	job->is_news = false;
	return is_worth_it && !write_record(engine, job, made);
}

enum step_verdict engine_job_note(struct engine *engine, struct engine_job *job, size_t made, struct step_call *call)
{
	int code = write_record(engine, job, made);
	if (code == WEIR_ENOSPC)
		return step_say(call, STEP_DEAD, "memo: what the item has got takes more than 1 MiB");
	if (code)
		return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(code));
	engine_extend(&engine->store, job->item);
	return STEP_WAIT;
}

void engine_job_reject(struct engine_job *job)
{
	job->is_news = false;
	if (job->is_old)
		value_fini(&job->item->record);
}

void engine_job_forget_note(struct engine_job *job)
{
	free(job->note);
	job->note = NULL;
}

void engine_job_forget(struct engine_job *job)
{
	value_list_fini(&job->made);
	forget_leg(job);
	engine_job_forget_note(job);
}
