/* SPDX-License-Identifier: MIT */
/* Pools of children for tests: small shell scripts as programs, on the real clock. */
#ifndef UNIT_CHILDREN_H
#define UNIT_CHILDREN_H

#include "unit/fibers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <weir/child.h>
#include <weir/group.h>

/* Answers a line with itself.  `die` ends it; `kill` and `abort` do so by a signal, `once FILE` only while there is no
 * such file, `late FILE` after a while, having added a line to the file; `hang` it never answers, `long` gets an
 * endless answer, `twice` two, `close` shuts its output and lives on; `sleep N` takes N seconds; `count` tells how many
 * lines it has got; `wait FILE` waits for a file; `meet A B` makes the one and waits for the other; `grow` needs 128
 * MiB. */
static const char script[] = "while read -r a b; do n=$((n + 1)); case $a in\n"
			     "die) exit 3;;\n"
			     "kill) kill -9 $$;;\n"
			     "abort) kill -ABRT $$;;\n"
			     "once) [ -e $b ] || { : >$b; kill -9 $$; }; echo survived;;\n"
			     "late) sleep 0.2; echo . >>$b; kill -9 $$;;\n"
			     "hang) sleep 60;;\n"
			     "long) while :; do echo -n xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done;;\n"
			     "twice) echo 1; echo 2;;\n"
			     "close) exec >&- <&-; sleep 60;;\n"
			     "sleep) sleep $b; echo slept;;\n"
			     "fds) echo $(ls /proc/self/fd | wc -l);;\n"
			     "env) echo $(env | wc -l);;\n"
			     "pid) echo $$;;\n"
			     "count) echo $n;;\n"
			     "wait) until [ -e $b ]; do sleep 0.01; done; echo waited;;\n"
			     "meet) : >${b% *}; until [ -e ${b#* } ]; do sleep 0.01; done; echo met;;\n"
			     "grow) s=xxxxxxxxxxxxxxxx; i=0; while [ $i -lt 23 ]; do s=$s$s; i=$((i + 1)); done;\n"
			     "echo ${#s};;\n"
			     "*) echo \"$a $b\";;\n"
			     "esac; done";

static const char *const script_argv[] = {"/bin/sh", "-c", script, NULL};
static const char *const cat_argv[] = {"/bin/cat", NULL};
static const char *const path_envp[] = {"PATH=/usr/bin:/bin", NULL};

static inline struct weir_child *open_pool(struct weir_child_options opts)
{
	struct weir_child *pool;
	if (!opts.argv)
		opts.argv = script_argv;
	if (!opts.envp)
		opts.envp = path_envp;
	ck_assert_int_eq(weir_child_new(&opts, &pool), 0);
	return pool;
}

/* Frees the pool and sees to it that no child is left, not even as a zombie. */
static inline void close_pool(struct weir_child *pool)
{
	weir_child_free(pool);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}

struct job {
	struct weir_child *pool;
	const char *line;
	weir_nsec deadline;
	int code;
	char *answer;
	size_t n;
	struct weir_error err;
	int order; /* in which it ended */
};

/* How many jobs have. */
static int ended;

static inline int run_job(void *arg)
{
	struct job *job = arg;
	job->code = weir_child_call(job->pool, job->line, strlen(job->line), &job->answer, &job->n, &job->err,
				    job->deadline ? job->deadline : WEIR_FOREVER);
	job->order = ended++;
	return 0;
}

static inline void run_jobs(struct weir_child *pool, struct job *jobs, size_t n)
{
	struct weir_group *group;
	ended = 0;
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	for (size_t i = 0; i < n; i++) {
		jobs[i].pool = pool;
		ck_assert_int_eq(weir_group_spawn(group, run_job, &jobs[i], WEIR_FOREVER), 0);
	}
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
}

static inline void expect(const struct job *job, const char *answer)
{
	ck_assert_msg(job->code == 0, "%s: %s", job->line, weir_strerror(job->code));
	ck_assert_str_eq(job->answer, answer);
	ck_assert_uint_eq(job->n, strlen(answer));
	free(job->answer);
}

static inline void call(struct weir_child *pool, const char *line, int code, const char *answer)
{
	struct job job = {.pool = pool, .line = line};
	run_job(&job);
	ck_assert_msg(job.code == code, "%s: %s", line, weir_errname(job.code));
	if (!code)
		expect(&job, answer);
}

#endif
