/* SPDX-License-Identifier: MIT */
#include "engine/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include <weir/weir.h>

#include "data/units.h"
#include "engine/internal.h"
#include "engine/resume.h"

/* A little more than the 5 s that a connection, a lock, a locked file have of their own: those know what to say. */
#define PART_LIMIT (6 * WEIR_SEC)

/* ---- the broker */

static void tell_past(const struct probe_past *past, struct buf *out)
{
	const struct broker_past *was = &past->past;
	char done[32], left[32];
	uint64_t settled = was->accounts.succeeded + was->accounts.dropped + was->accounts.dead;
	if (past->fresh)
		buf_add_str(out, "a new run");
	else
		buf_addf(out, "resumes a run: %s items done, %s unfinished", units_number_text(settled, done),
			 units_number_text(was->unfinished, left));
}

int probe_broker(const struct plan *plan, const char *folder, struct probe_past *ret_past, struct buf *out,
		 struct weir_error *err)
{
	const struct broker_ops *ops = plan->broker.adapter->broker;
	struct probe_past past = {0};
	int code = ops->probe ? ops->probe(plan->broker.config, folder, &past.past, err) : 0;
	int exit_code = engine_exit_of(code);
	if (!code)
		code = resume_decide(&past.past, plan->meaning, WISH_RESUME, false, &past.fresh, &exit_code, err);
	if (code) {
		probe_past_fini(&past);
		return exit_code;
	}
	tell_past(&past, out);
	*ret_past = past;
	return 0;
}

void probe_past_fini(struct probe_past *past)
{
	broker_past_fini(&past->past);
}

/* ---- the parts */

enum { PART_SOURCE, PART_STEP, PART_SINK, PART_DEAD };

struct probe_part {
	int kind;
	const struct plan_adapter *at;
	const struct plan *plan;
	const struct step_env *env;
	const struct probe_past *past;
	char name[32];
	struct buf text;
	struct weir_error err;
	int code;
};

static void note(void *arg, const char *text)
{
	struct buf *out = &((struct probe_part *)arg)->text;
	buf_addf(out, "%s%s", out->len ? "; " : "", text);
}

static int try_source(struct probe_part *part)
{
	const struct source_ops *ops = part->at->adapter->source;
	const struct broker_past *past = &part->past->past;
	struct source *source = NULL;
	int code = ops->open(part->at->config, part->plan->settings.name, &source, &part->err);
	if (code)
		return code;
	if (!part->past->fresh && !part->past->is_unknown && past->source.len)
		code = ops->resume(source, past->source.data, &past->cursor, false, &part->err);
	if (!code && ops->probe)
		code = ops->probe(source, &part->text, &part->err);
	ops->close(source);
	return code;
}

static int try_step(struct probe_part *part)
{
	const struct step_ops *ops = part->at->adapter->step;
	struct step *step = NULL;
	int code = ops->open(part->at->config, part->env, &step, &part->err);
	if (code)
		return code;
	code = ops->probe(step, &part->text, &part->err);
	ops->close(step);
	return code;
}

/* A run that begins gets its name when it does: no sink knows this one. */
static int try_sink(struct probe_part *part)
{
	static const char nobody[] = "00000000000000000000000000000000";
	const struct sink_ops *ops = part->at->adapter->sink;
	const struct broker_past *past = &part->past->past;
	const struct value *position = &past->positions[part->kind == PART_SINK ? OUTLET_SINK : OUTLET_DEAD];
	enum broker_exactness broker = part->plan->broker.adapter->broker->exactness;
	bool forgets = broker == BROKER_FORGETS, fresh = part->past->fresh;
	const struct sink_env env = {.run = forgets ? NULL
					    : fresh ? nobody
						    : past->run,
				     .position = fresh || !position->len ? NULL : position,
				     .shared = broker == BROKER_SHARED,
				     .joins = broker == BROKER_SHARED && !fresh,
				     .pipeline = part->plan->settings.name,
				     .clean = past->clean,
				     .note = note,
				     .arg = part};
	struct sink *sink = NULL;
	int code = ops->open(part->at->config, &env, &sink, &part->err);
	if (code)
		return code;
	if (ops->probe)
		code = ops->probe(sink, &part->text, &part->err);
	ops->close(sink, NULL);
	return code;
}

/* ---- files */

static const struct file_use *find_file(const struct probe_part *part)
{
	static const char *const names[] = {"the source", "", "the sink", "the dead letters"};
	const struct files *files = &part->plan->files;
	for (size_t i = 0; i < files->n; i++)
		if (strcmp(files->uses[i].what, names[part->kind]) == 0)
			return &files->uses[i];
	return NULL;
}

/* Who is at the other end would notice. */
static bool is_left_alone(const struct probe_part *part, const struct file_use *file)
{
	struct stat st;
	bool special = file && !stat(file->path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
	return special || part->at->adapter->standard;
}

static void tell_file(struct probe_part *part, const struct file_use *file)
{
	bool is_missing = file->written && access(file->path, F_OK);
	buf_addf(&part->text, "%s%s%s", file->path, file->written ? is_missing ? ", which a run creates" : "" : "",
		 part->text.len ? "; " : "");
}

/* ---- all */

static int try_part(struct probe_part *part)
{
	const struct file_use *file = find_file(part);
	if (part->kind == PART_STEP)
		return try_step(part);
	if (is_left_alone(part, file))
		return buf_addf(&part->text, "%s is no file, and was not tried", file ? file->path : part->name);
	if (part->kind != PART_SOURCE && part->past->is_unknown)
		return buf_add_str(&part->text, "not tried, because of the state");
	int code = part->kind == PART_SOURCE ? try_source(part) : try_sink(part);
	if (!code && !part->text.len && file)
		tell_file(part, file);
	return code;
}

static int run_part(void *arg)
{
	struct probe_part *part = arg;
	struct weir_deadline scope;
	weir_deadline_enter(&scope, weir_after(PART_LIMIT));
	part->code = try_part(part);
	weir_deadline_leave(&scope);
	return 0;
}

static void add(struct probe_part *parts, size_t *n, int kind, const struct plan_adapter *at, size_t number)
{
	static const char *const names[] = {"source", "step", "sink", "dead letters"};
	struct probe_part *part = &parts[(*n)++];
	part->kind = kind;
	part->at = at;
	if (number)
		snprintf(part->name, sizeof part->name, "%s %zu", names[kind], number);
	else
		snprintf(part->name, sizeof part->name, "%s", names[kind]);
}

static size_t list(const struct plan *plan, struct probe_part *parts)
{
	size_t n = 0;
	add(parts, &n, PART_SOURCE, &plan->source, 0);
	for (size_t i = 0; i < plan->step_count; i++)
		if (plan->steps[i].adapter->step->probe)
			add(parts, &n, PART_STEP, &plan->steps[i], i + 1);
	add(parts, &n, PART_SINK, &plan->sink, 0);
	if (plan->dead_letter.adapter)
		add(parts, &n, PART_DEAD, &plan->dead_letter, 0);
	return n;
}

static int try_all(struct probe_part *parts, size_t n)
{
	static const struct weir_group_options collect = {.flags = WEIR_GROUP_COLLECT};
	struct weir_group *group;
	int code = weir_group_new(&collect, &group);
	if (code)
		return code;
	for (size_t i = 0; i < n && !code; i++)
		code = weir_group_spawn(group, run_part, &parts[i], WEIR_FOREVER);
	int ended = weir_group_wait(group, WEIR_FOREVER);
	weir_group_free(group);
	return code ? code : ended;
}

static void tell_part(const struct probe_part *part, void (*tell)(void *arg, const struct probe_result *result),
		      void *arg)
{
	const char *why = part->err.text[0] ? part->err.text : weir_strerror(part->code);
	tell(arg, &(struct probe_result){.part = part->name,
					 .adapter = part->at->adapter->name,
					 .text = part->code        ? why
						 : part->text.data ? part->text.data
								   : "ok",
					 .exit_code = part->code ? engine_exit_of_opening(part->code) : 0});
}

int probe_parts(const struct plan *plan, const struct step_env *env, const struct probe_past *past,
		void (*tell)(void *arg, const struct probe_result *result), void *arg)
{
	struct probe_part *parts = calloc(plan->step_count + 3, sizeof *parts);
	struct step_env one = *env;
	size_t n = parts ? list(plan, parts) : 0;
	one.concurrency = one.most = 1;
	for (size_t i = 0; i < n; i++) {
		parts[i].plan = plan;
		parts[i].env = &one;
		parts[i].past = past;
	}
	int code = parts ? try_all(parts, n) : WEIR_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (!code)
			tell_part(&parts[i], tell, arg);
		buf_fini(&parts[i].text);
	}
	free(parts);
	return code;
}
