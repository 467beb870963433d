/* SPDX-License-Identifier: MIT */
/*
 * Pools of threads for what blocks.
 *
 *     QUEUED --thread takes it--> RUNNING --> DONE, message to the loop --> the fiber goes on
 *        '--taken back                '--abandoned: the thread destroys the argument, nobody is told
 *
 * `state` and `abandoned` are written under the pool's lock.  `result` is written by the thread before the message is
 * posted and read by the fiber after it was delivered; posting and delivering order the two.
 */
#include "rt/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <weir/offload.h>

enum offload_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE };

struct offload_job {
	struct weir__message message; /* first: the message is the job */
	TAILQ_ENTRY(offload_job) others;
	struct weir__loop *loop;
	struct weir__waiter waiter;
	bool delivered; /* only the loop's thread looks */
	enum offload_state state;
	bool abandoned;
	weir_offload_fn fn;
	void *arg;
	void (*destroy)(void *arg);
	int result;
};

struct weir_pool {
	pthread_mutex_t lock; /* over all that follows, but for `waiting` */
	pthread_cond_t more;
	TAILQ_HEAD(offload_jobs, offload_job) jobs;
	size_t queued;
	unsigned most, started, idle;
	bool stopping;
	/* Fibers that wait, or were woken and have not run since: counted by the threads of their loops, read when the
	 * pool is freed, which orders nothing. */
	atomic_uint waiting;
	pthread_t threads[];
};

static void unlink_job(struct weir_pool *pool, struct offload_job *job)
{
	pool->queued--;
	TAILQ_REMOVE(&pool->jobs, job, others);
}

static void deliver(struct weir__message *message)
{
	struct offload_job *job = (struct offload_job *)message;
	job->delivered = true;
	if (weir__waits(&job->waiter))
		weir__wake(&job->waiter, 0);
}

static void finish_job(struct weir_pool *pool, struct offload_job *job, int result)
{
	job->result = result;
	pthread_mutex_lock(&pool->lock);
	job->state = JOB_DONE;
	bool abandoned = job->abandoned;
	pthread_mutex_unlock(&pool->lock);
	if (abandoned) {
		job->destroy(job->arg);
		free(job);
	} else {
		weir__post(job->loop, &job->message);
	}
}

static void *run_thread(void *arg)
{
	struct weir_pool *pool = arg;
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct offload_job *job = TAILQ_FIRST(&pool->jobs);
		if (!job && pool->stopping)
			break;
		if (!job) {
			pool->idle++;
			pthread_cond_wait(&pool->more, &pool->lock);
			pool->idle--;
			continue;
		}
		unlink_job(pool, job);
		job->state = JOB_RUNNING;
		pthread_mutex_unlock(&pool->lock);
		finish_job(pool, job, job->fn(job->arg));
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* Signals are the business of the application's own threads. */
static int start_thread(struct weir_pool *pool)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int code = pthread_create(&pool->threads[pool->started], NULL, run_thread, pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!code)
		pool->started++;
	return code;
}

/* More jobs than idle threads (one that was signalled counts as idle until it runs): one more thread, if there may be
 * one.  With none at all a job would never run. */
static int submit(struct weir_pool *pool, struct offload_job *job)
{
	pthread_mutex_lock(&pool->lock);
	bool short_of_threads = pool->queued >= pool->idle && pool->started < pool->most;
	if (short_of_threads && start_thread(pool) && !pool->started) {
		pthread_mutex_unlock(&pool->lock);
		return WEIR_ENOMEM;
	}
	TAILQ_INSERT_TAIL(&pool->jobs, job, others);
	pool->queued++;
	pthread_cond_signal(&pool->more);
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

static int wait_for_job(struct offload_job *job, weir_nsec deadline)
{
	if (job->delivered)
		return 0;
	weir__outside_enter();
	int code = weir__wait(NULL, &job->waiter, deadline);
	weir__outside_leave();
	return code;
}

/* The fiber stops waiting before the job was done.  True: the job is gone, or someone else's. */
static bool let_go(struct weir_pool *pool, struct offload_job *job)
{
	pthread_mutex_lock(&pool->lock);
	bool queued = job->state == JOB_QUEUED;
	if (queued)
		unlink_job(pool, job);
	bool left = !queued && job->state == JOB_RUNNING && job->destroy;
	job->abandoned = left;
	pthread_mutex_unlock(&pool->lock);
	if (queued) {
		if (job->destroy)
			job->destroy(job->arg);
		free(job);
	}
	return queued || left;
}

static int call(struct weir_pool *pool, weir_offload_fn fn, void *arg, void (*destroy)(void *), weir_nsec deadline)
{
	struct offload_job *job = calloc(1, sizeof *job);
	if (!job)
		return WEIR_ENOMEM;
	job->message.deliver = deliver;
	job->waiter.what = "offload";
	job->loop = weir__loop;
	job->fn = fn;
	job->arg = arg;
	job->destroy = destroy;
	int code = submit(pool, job);
	if (code) {
		free(job);
		return code;
	}
	pool->waiting++;
	code = wait_for_job(job, deadline);
	bool gone = code && let_go(pool, job);
	if (code && !gone) {
		weir_shield_enter();
		wait_for_job(job, WEIR_FOREVER);
		weir_shield_leave();
	}
	pool->waiting--;
	if (gone)
		return code;
	int result = code ? code : job->result;
	if (destroy)
		destroy(arg);
	free(job);
	return result;
}

static int loop_pool(struct weir_pool **ret_pool)
{
	struct weir__loop *loop = weir__loop;
	int code = loop->pool ? 0 : weir_pool_new(loop->offload_threads, &loop->pool);
	*ret_pool = loop->pool;
	return code;
}

int weir_offload(weir_offload_fn fn, void *arg, weir_nsec deadline)
{
	struct weir_pool *pool;
	int code = weir__check_cancel() ? WEIR_ECANCELED : weir__refuse(deadline);
	if (code < 0 || (code = loop_pool(&pool)) < 0)
		return code;
	return call(pool, fn, arg, NULL, deadline);
}

int weir_offload_owned(weir_offload_fn fn, void *arg, void (*destroy)(void *arg), weir_nsec deadline)
{
	struct weir_pool *pool;
	int code = weir__check_cancel() ? WEIR_ECANCELED : weir__refuse(deadline);
	if (code < 0) {
		destroy(arg);
		return code;
	}
	code = loop_pool(&pool);
	return code < 0 ? code : call(pool, fn, arg, destroy, deadline);
}

int weir_pool_call(struct weir_pool *pool, weir_offload_fn fn, void *arg, weir_nsec deadline)
{
	int code = weir__check_cancel() ? WEIR_ECANCELED : weir__refuse(deadline);
	return code < 0 ? code : call(pool, fn, arg, NULL, deadline);
}

int weir_pool_new(unsigned threads, struct weir_pool **ret_pool)
{
	if (threads < 1 || threads > WEIR_POOL_MOST)
		return WEIR_EINVAL;
	struct weir_pool *pool = calloc(1, sizeof *pool + threads * sizeof pool->threads[0]);
	if (!pool)
		return WEIR_ENOMEM;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->more, NULL);
	TAILQ_INIT(&pool->jobs);
	pool->most = threads;
	*ret_pool = pool;
	return 0;
}

void weir__pool_free(const char *here, struct weir_pool *pool)
{
	if (!pool)
		return;
	bool is_loops = weir__loop && weir__loop->pool == pool; /* it ends with the fibers it has */
	pthread_mutex_lock(&pool->lock);
	weir__require(TAILQ_EMPTY(&pool->jobs) && (is_loops || !pool->waiting), here,
		      "weir_pool_free: a call is running, or its fiber has not run since it ended");
	pool->stopping = true;
	pthread_cond_broadcast(&pool->more);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->started; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->more);
	free(pool);
}

weir__function(pool_free, struct weir_pool *);
