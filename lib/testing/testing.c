/* SPDX-License-Identifier: MIT */
/*
 * Calls that fail on demand.  The linker's --wrap=NAME turns each NAME that an object file wants from elsewhere into
 * __wrap_NAME, which is here, and __real_NAME into NAME.  To let another call fail, wrap it here and name it in
 * meson.build, from where also the .pc file has the names.
 */
#include <stdlib.h>
#include <weir/group.h>
#include <weir/queue.h>
#include <weir/sem.h>
#include <weir/testing.h>

enum { KINDS = WEIR_TESTING_ALLOCATE + 1 };

/* Of the calling thread: no thread of a pool or a library disturbs the count. */
static _Thread_local struct {
	unsigned left; /* calls until the one that fails; 0: none will */
	int code;
	bool failed;
} faults[KINDS];

int weir_testing_fail(enum weir_testing_call call, unsigned n, int code)
{
	if ((unsigned)call >= KINDS || (n && code >= 0))
		return WEIR_EINVAL;
	faults[call].left = n;
	faults[call].code = code;
	faults[call].failed = false;
	return 0;
}

bool weir_testing_failed(enum weir_testing_call call)
{
	return (unsigned)call < KINDS && faults[call].failed;
}

/* 0, or what this call shall answer instead of being made. */
static int fault(enum weir_testing_call call)
{
	if (!faults[call].left || --faults[call].left)
		return 0;
	faults[call].failed = true;
	return faults[call].code;
}

#define WRAP(call, name, parameters, arguments)                                                                        \
	int __real_##name parameters;                                                                                  \
	int __wrap_##name parameters;                                                                                  \
	int __wrap_##name parameters                                                                                   \
	{                                                                                                              \
		int code = fault(call);                                                                                \
		return code ? code : __real_##name arguments;                                                          \
	}

WRAP(WEIR_TESTING_PUT, weir_queue_put, (struct weir_queue * queue, const void *item, weir_nsec deadline),
     (queue, item, deadline))
WRAP(WEIR_TESTING_PUT, weir_queue_put_at,
     (struct weir_queue * queue, const void *item, int64_t rank, weir_nsec deadline), (queue, item, rank, deadline))
WRAP(WEIR_TESTING_GET, weir_queue_get, (struct weir_queue * queue, void *ret_item, weir_nsec deadline),
     (queue, ret_item, deadline))
WRAP(WEIR_TESTING_ACQUIRE, weir_sem_acquire, (struct weir_sem * sem, size_t n, weir_nsec deadline), (sem, n, deadline))
WRAP(WEIR_TESTING_SPAWN, weir_group_spawn, (struct weir_group * group, weir_fiber_fn fn, void *arg, weir_nsec deadline),
     (group, fn, arg, deadline))
WRAP(WEIR_TESTING_SPAWN, weir_group_spawn_with,
     (struct weir_group * group, const struct weir_spawn_options *opts, weir_fiber_fn fn, void *arg,
      weir_nsec deadline),
     (group, opts, fn, arg, deadline))

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

static bool no_memory(void)
{
	if (!fault(WEIR_TESTING_ALLOCATE))
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t bytes)
{
	return no_memory() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	return no_memory() ? NULL : __real_calloc(n, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	return no_memory() ? NULL : __real_realloc(old, bytes);
}
