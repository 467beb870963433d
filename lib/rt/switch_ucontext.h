/* SPDX-License-Identifier: MIT */
/*
 * The context switch by swapcontext(), for processors without assembly of their own.  A context that does not run is a
 * ucontext_t on its own stack; swapcontext() keeps the floating-point control words in it.
 */
#ifndef RT_SWITCH_UCONTEXT_H
#define RT_SWITCH_UCONTEXT_H

#include <fenv.h>
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>

#define WEIR__FIBER_ENTRY                                                                                              \
	void weir__fiber_entry(void)                                                                                   \
	{                                                                                                              \
		weir__fiber_main();                                                                                    \
	}

static inline __attribute__((always_inline)) void weir__switch(void **ret_sp, void *sp)
{
	ucontext_t own;
	void *at = &own;
	/* AddressSanitizer takes the whole of uc_stack for unused when it is switched to; swapcontext() leaves it. */
	own.uc_stack = (stack_t){0};
	__asm__("" : "+r"(at)); /* it points to what outlives no return, and need not */
	*ret_sp = at;
	/* Which signals are blocked is the thread's matter, not the fiber's, as with a switch in assembly. */
	if (pthread_sigmask(SIG_SETMASK, NULL, &((ucontext_t *)sp)->uc_sigmask) || swapcontext(&own, sp))
		abort();
}

struct weir__floating {
	fenv_t env;
};

static inline void weir__floating_store(struct weir__floating *ret_floating)
{
	fegetenv(&ret_floating->env);
}

static inline void weir__floating_load(const struct weir__floating *floating)
{
	fesetenv(&floating->env);
}

static inline void *weir__context_begin(void *bottom, void *top, const struct weir__floating *floating)
{
	ucontext_t *context = (ucontext_t *)top - 1;
	struct weir__floating own;
	weir__floating_store(&own);
	weir__floating_load(floating); /* getcontext() stores what is in force */
	if (getcontext(context))
		abort();
	weir__floating_load(&own);
	context->uc_stack = (stack_t){.ss_sp = bottom, .ss_size = (size_t)((char *)context - (char *)bottom)};
	context->uc_link = NULL;
	makecontext(context, weir__fiber_entry, 0);
	return context;
}

#endif
