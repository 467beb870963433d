/* SPDX-License-Identifier: MIT */
/*
 * A pool of child processes: one fiber per child (worker.c) between the fibers that call and the child's socket.
 *
 *     weir_child_call -> [pool's queue] -> worker: out ======> child
 *          ^                               under_way              |
 *          `------ first under way <------ in  <=================='
 *
 * A call goes to the child with the fewest lines under way; when all have a full batch it waits in the pool's queue.
 * A line is the caller's memory until it was copied into `out`, and never needed after that unless its caller still
 * waits: so a call that was abandoned (deadline, cancel) leaves only its record behind, which its answer or the child's
 * death frees.
 */
#include "sync/worker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static int copy_options(const struct weir_child_options *opts, struct weir_child_options *ret_opts)
{
	struct weir_child_options copy = *opts;
	char *preamble = opts->preamble ? malloc(opts->preamble_bytes + 1) : NULL;
	if (preamble)
		memcpy(preamble, opts->preamble, opts->preamble_bytes);
	copy.preamble = preamble;
	copy.argv = weir__strings_copy(opts->argv);
	copy.envp = opts->envp ? weir__strings_copy(opts->envp) : NULL;
	if (!copy.batch)
		copy.batch = 256;
	if (!copy.answer_bytes)
		copy.answer_bytes = (size_t)16 << 20;
	if (!copy.start_limit && copy.time_limit)
		copy.start_limit = copy.time_limit + 10 * WEIR_SEC;
	*ret_opts = copy;
	return copy.argv && (copy.envp || !opts->envp) && (copy.preamble || !opts->preamble) ? 0 : WEIR_ENOMEM;
}

/* Starts a child and its fiber, and sees it begin: one that found no memory for its stack would take lines for ever. */
static int add_worker(struct weir_child *pool)
{
	struct child_worker *worker = &pool->workers[pool->count++];
	worker->pool = pool;
	TAILQ_INIT(&worker->paused);
	TAILQ_INIT(&worker->under_way);
	int code = weir__worker_start(worker);
	if (code)
		return code;
	code = weir_group_spawn_with(pool->group, &(struct weir_spawn_options){.name = "child"}, weir__worker_run,
				     worker, WEIR_FOREVER);
	while (!code && !worker->begun) {
		weir_yield();
		code = weir_group_failures(pool->group) ? WEIR_ENOMEM : 0;
	}
	if (code)
		weir__subprocess_end(&worker->process, 0);
	return code;
}

int weir_child_new(const struct weir_child_options *opts, struct weir_child **ret_child)
{
	if (!opts->argv || !opts->argv[0])
		return WEIR_EINVAL;
	unsigned count = opts->processes ? opts->processes : 1;
	struct weir_child *pool = calloc(1, sizeof *pool + count * sizeof pool->workers[0]);
	if (!pool)
		return WEIR_ENOMEM;
	TAILQ_INIT(&pool->queue);
	weir_shield_enter();
	int code = copy_options(opts, &pool->options);
	if (!code)
		code = weir_group_new(&(struct weir_group_options){.flags = WEIR_GROUP_COLLECT}, &pool->group);
	while (!code && pool->count < count)
		code = add_worker(pool);
	weir_shield_leave();
	if (code) {
		weir_child_free(pool);
		return code;
	}
	*ret_child = pool;
	return 0;
}

void weir__child_free(const char *here, struct weir_child *pool)
{
	if (!pool)
		return;
	weir__require(!pool->live, here, "weir_child_free: a weir_child_call() is still running");
	pool->closing = true;
	weir_shield_enter();
	for (struct child_worker *worker = pool->workers; worker < pool->workers + pool->count; worker++) {
		weir__wake_all(&worker->paused, 0);
		if (worker->up && worker->process.io)
			weir_io_wake(worker->process.io);
	}
	if (pool->group)
		weir_group_wait(pool->group, WEIR_FOREVER);
	weir_shield_leave();
	weir_group_free(pool->group);
	for (unsigned i = 0; i < pool->count; i++) {
		free(pool->workers[i].out.data);
		free(pool->workers[i].in.data);
	}
	weir__strings_free(pool->options.argv);
	weir__strings_free(pool->options.envp);
	free((void *)(uintptr_t)pool->options.preamble);
	free(pool);
}

weir__function(child_free, struct weir_child *);

/* The caller leaves: what is under way keeps the record, without its line. */
static void abandon(struct weir_child *pool, struct child_call *call)
{
	pool->live--;
	call->abandoned = true;
	if (call->list == &pool->queue) {
		weir__calls_remove(call);
		free(call);
	}
}

/* Without a suspicion or an abort it was nobody's turn: no child could be started any more. */
static void describe_death(const struct child_call *call, struct weir_error *err)
{
	const char *who = call->suspected ? "two children died on it; the last one" : "the child";
	const char *name = call->end.signal ? sigabbrev_np(call->end.signal) : NULL;
	if (!call->suspected && call->end.signal != SIGABRT)
		weir_error_set(err, WEIR_EDIED, "the program does not run");
	else if (name)
		weir_error_set(err, WEIR_EDIED, "%s was killed by SIG%s", who, name);
	else if (call->end.signal)
		weir_error_set(err, WEIR_EDIED, "%s was killed by signal %d", who, call->end.signal);
	else if (call->end.exit_code >= 0)
		weir_error_set(err, WEIR_EDIED, "%s exited with code %d", who, call->end.exit_code);
	else
		weir_error_set(err, WEIR_EDIED, "%s violated the protocol for answers", who);
}

int weir_child_call(struct weir_child *pool, const char *line, size_t n, char **ret_answer, size_t *ret_answer_bytes,
		    struct weir_error *err, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (memchr(line, '\n', n))
		return WEIR_EINVAL;
	int code = weir__refuse(deadline);
	if (code)
		return code;
	if (weir__child_is_given_up(pool))
		return weir_error_set(err, WEIR_EDIED, "the program does not run");
	struct child_call *call = calloc(1, sizeof *call);
	if (!call)
		return WEIR_ENOMEM;
	TAILQ_INIT(&call->waiter);
	call->line = line;
	call->n = n;
	pool->live++;
	pool->stats.calls++;
	weir__calls_push(&pool->queue, call);
	weir__child_dispatch(pool);
	pool->stats.waited += call->list == &pool->queue;
	struct weir__waiter self = {.what = "child"};
	code = call->finished ? 0 : weir__wait(&call->waiter, &self, deadline);
	if (!call->finished) {
		abandon(pool, call);
		return code;
	}
	code = call->code;
	if (!code) {
		*ret_answer = call->answer;
		*ret_answer_bytes = call->answer_bytes;
	} else if (code == WEIR_EDIED) {
		describe_death(call, err);
	}
	free(call);
	return code;
}

void weir_child_stats(const struct weir_child *child, struct weir_child_stats *ret_stats)
{
	*ret_stats = child->stats;
}
