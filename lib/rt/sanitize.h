/* SPDX-License-Identifier: MIT */
/*
 * What the sanitizers and valgrind must be told about stacks and the switches between them.  Each call is nothing in a
 * plain build.
 *
 * The context of a checker belongs to the *stack*, not to the fiber: a stack is used by one fiber after another.
 */
#ifndef RT_SANITIZE_H
#define RT_SANITIZE_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define WEIR__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR__ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WEIR__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEIR__TSAN 1
#endif
#endif

#ifdef WEIR__ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef WEIR__TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define WEIR__VALGRIND 1
#endif
#endif

/* ThreadSanitizer counts calls and returns per context: the call that changes it must not be within one that returns.
 */
#define WEIR__CHECKED static inline __attribute__((always_inline))

/* What the checkers keep for one stack. */
struct weir__checked {
	char *bottom;
	size_t bytes;
#ifdef WEIR__ASAN
	void *fake_stack;
#endif
#ifdef WEIR__TSAN
	void *fiber;
#endif
	unsigned valgrind_id;
};

static inline void weir__checked_init(struct weir__checked *stack, char *bottom, size_t bytes)
{
	stack->bottom = bottom;
	stack->bytes = bytes;
#ifdef WEIR__ASAN
	__lsan_register_root_region(bottom, bytes);
#endif
#ifdef WEIR__VALGRIND
	stack->valgrind_id = VALGRIND_STACK_REGISTER(bottom, bottom + bytes - 1);
#endif
}

static inline void weir__checked_fini(struct weir__checked *stack)
{
#ifdef WEIR__ASAN
	__asan_unpoison_memory_region(stack->bottom, stack->bytes);
	__lsan_unregister_root_region(stack->bottom, stack->bytes);
#endif
#ifdef WEIR__TSAN
	if (stack->fiber)
		__tsan_destroy_fiber(stack->fiber);
	stack->fiber = NULL;
#endif
#ifdef WEIR__VALGRIND
	VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
#endif
	(void)stack;
}

/* A new fiber is about to begin at the top of the stack.  The last one never left its outermost calls: with the same
 * context ThreadSanitizer's own stack of calls would grow with each. */
static inline void weir__checked_reset(struct weir__checked *stack)
{
#ifdef WEIR__TSAN
	if (stack->fiber)
		__tsan_destroy_fiber(stack->fiber);
	stack->fiber = NULL;
#endif
#ifdef WEIR__ASAN
	__asan_unpoison_memory_region(stack->bottom, stack->bytes);
#endif
	(void)stack;
}

/* Just before the switch from one stack to another.  `last`: nothing will ever come back to `from` as it is now. */
WEIR__CHECKED void weir__checked_leave(struct weir__checked *from, struct weir__checked *to, int last)
{
#ifdef WEIR__ASAN
	__sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->bottom, to->bytes);
#endif
#ifdef WEIR__TSAN
	if (!to->fiber)
		to->fiber = __tsan_create_fiber(0);
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
	(void)from, (void)to, (void)last;
}

/* First thing after a switch, on the stack that was switched to; `fresh`: at its top, for the first time. */
WEIR__CHECKED void weir__checked_enter(struct weir__checked *stack, int fresh)
{
#ifdef WEIR__ASAN
	__sanitizer_finish_switch_fiber(fresh ? NULL : stack->fake_stack, NULL, NULL);
#endif
	(void)stack, (void)fresh;
}

/* Valgrind does not know the newest system calls, and says so each time. */
static inline int weir__on_valgrind(void)
{
#ifdef WEIR__VALGRIND
	return (int)RUNNING_ON_VALGRIND;
#else
	return 0;
#endif
}

/* Whether anybody wants to be told of stacks: asking each of a million of them costs a cache miss. */
static inline int weir__is_checked(void)
{
#if defined(WEIR__ASAN) || defined(WEIR__TSAN)
	return 1;
#else
	return weir__on_valgrind();
#endif
}

/* The stack of the thread that runs the loop. */
#if defined(WEIR__ASAN)
#include <pthread.h>
#endif
static inline void weir__checked_thread(struct weir__checked *stack)
{
#ifdef WEIR__ASAN
	pthread_attr_t attr;
	void *bottom;
	if (!pthread_getattr_np(pthread_self(), &attr)) {
		pthread_attr_getstack(&attr, &bottom, &stack->bytes);
		stack->bottom = bottom;
		pthread_attr_destroy(&attr);
	}
#endif
#ifdef WEIR__TSAN
	stack->fiber = __tsan_get_current_fiber();
#endif
	(void)stack;
}

#endif
