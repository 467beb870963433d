/* SPDX-License-Identifier: MIT */
#include "model/model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/random.h>

/* The server's clock, but one ms a call and the trial's own. */
static const char clock_of_server[] = "call('TIME')";
static const char clock_of_trial[] = "(function() local ms = call('INCR', RUN .. ':clock') "
				     "return {math.floor(ms / 1000), ms % 1000 * 1000} end)()";

static char *replace(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	if (!at)
		return NULL;
	char *result = malloc(strlen(text) + strlen(to) + 1);
	sprintf(result, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return result;
}

void model_scripts_init(struct scripts *scripts, const struct mutant *mutant)
{
	for (int i = 0; i < REDIS_SCRIPTS; i++) {
		char *text = replace(redis_script_texts[i], clock_of_server, clock_of_trial);
		if (mutant && mutant->from && (mutant->script == REDIS_SCRIPTS || (int)mutant->script == i)) {
			char *changed = text ? replace(text, mutant->from, mutant->to) : NULL;
			free(text);
			text = changed;
		}
		if (!text) {
			fprintf(stderr, "weir-model: the text to be replaced for %s is not in script %d\n",
				mutant ? mutant->name : "the clock", i);
			exit(64);
		}
		scripts->texts[i] = text;
		redis_script_init(&scripts->scripts[i], text);
	}
}

void model_scripts_fini(struct scripts *scripts)
{
	for (int i = 0; i < REDIS_SCRIPTS; i++)
		free(scripts->texts[i]);
}

/* The first one counts. */
void find(struct world *world, const char *format, ...)
{
	va_list args;
	if (*world->finding)
		return;
	va_start(args, format);
	vsnprintf(world->finding, sizeof world->finding, format, args);
	va_end(args);
}

uint64_t below(struct world *world, uint64_t n)
{
	return weir_random_below(&world->random, n);
}

bool chance(struct world *world, double share)
{
	return weir_random_unit(&world->random) < share;
}

void model_begin(struct world *world, struct redis_command *rest)
{
	redis_command_clear(rest);
	buf_add(&rest->words, world->key_words.words.data, world->key_words.words.len);
	rest->n = world->key_words.n;
	char run[40];
	snprintf(run, sizeof run, "run%" PRIu64, world->seed);
	redis_add_text(rest, run);
}

redisReply *model_eval(struct world *world, enum redis_script_name script, const struct redis_command *rest)
{
	struct weir_error err;
	redisReply *reply = NULL;
	world->stats.calls++;
	if (redis_eval(world->redis, &world->scripts->scripts[script], rest, &reply, &err, WEIR_FOREVER)) {
		find(world, "script %d: %.180s", (int)script, err.text);
		return NULL;
	}
	return reply;
}

redisReply *model_say(struct world *world, const struct redis_command *command)
{
	redisReply *reply = NULL;
	world->stats.calls++;
	int code = redis_call(world->redis, command, &reply, NULL, WEIR_FOREVER);
	if (code && code != WEIR_EDATA)
		find(world, "the server is gone");
	return code ? NULL : reply;
}

redisReply *model_words(struct world *world, const char *const *words)
{
	struct redis_command command = {0};
	for (; *words; words++)
		redis_add_text(&command, *words);
	redisReply *reply = model_say(world, &command);
	redis_command_fini(&command);
	return reply;
}

bool model_is(const redisReply *reply, const char *word)
{
	return reply && reply->type == REDIS_REPLY_ARRAY && reply->elements && reply->element[0]->str &&
	       !strcmp(reply->element[0]->str, word);
}

bool model_pause(struct process *process)
{
	weir_event_set(process->world->back);
	weir_event_wait(process->go, WEIR_FOREVER);
	weir_event_clear(process->go);
	return !process->killed;
}

weir_nsec model_clock(const struct process *process)
{
	return process->epoch + process->world->tick * TICK_MS * WEIR_MSEC;
}

/* A copy of a call that comes up to 400 steps later. */
static void delay_copy(struct world *world, enum redis_script_name script, const struct redis_command *rest)
{
	struct late_call *late = calloc(1, sizeof *late);
	late->at = world->tick + 1 + (unsigned)below(world, 400);
	late->script = script;
	late->rest.n = rest->n;
	buf_add(&late->rest.words, rest->words.data, rest->words.len);
	STAILQ_INSERT_TAIL(&world->late_calls, late, next);
}

redisReply *model_attempt(struct process *process, enum redis_script_name script, const struct redis_command *rest)
{
	struct world *world = process->world;
	double fate = weir_random_unit(&world->random);
	if (fate < world->lost_requests) {
		model_pause(process);
		return NULL;
	}
	if (chance(world, world->late))
		delay_copy(world, script, rest);
	redisReply *reply = model_eval(world, script, rest);
	/* Nobody hears of the end of a run that is taken back then. */
	world->end_seen = world->end_seen || (script == REDIS_TAKE && model_is(reply, "END"));
	bool lost = fate < world->lost_requests + world->lost_answers;
	if (!model_pause(process) || lost) {
		freeReplyObject(reply);
		return NULL;
	}
	return reply;
}

redisReply *model_call(struct process *process, enum redis_script_name script, const struct redis_command *rest)
{
	redisReply *reply = NULL;
	while (!process->killed && !reply)
		reply = model_attempt(process, script, rest);
	return reply;
}
