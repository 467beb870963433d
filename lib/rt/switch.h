/* SPDX-License-Identifier: MIT */
/*
 * The context switch.
 *
 * weir__switch(ret_sp, sp) stores the running context in *ret_sp and goes on with the one at sp; it comes back when
 * someone switches to what was stored.  A context that does not run lies on its own stack, and the floating-point
 * control words (rounding, exceptions that trap) are a part of it.
 *
 * Where there is assembly for a processor it is inside the calling function, for two reasons.  The compiler knows which
 * registers are live and saves just those; and there is neither a call nor a return, so the processor's predictor of
 * return addresses stays in step (on x86-64 a called switch costs 19 ns a yield, this one 4).  Elsewhere, and with the
 * build option switch=ucontext, it is swapcontext(), which is right everywhere and asks the kernel three times.
 *
 * To add a processor: a header with what is declared below, its name here and in meson.build.
 */
#ifndef RT_SWITCH_H
#define RT_SWITCH_H

/* The first function of every fiber; never returns. */
void weir__fiber_main(void);

/*
 * WEIR__FIBER_ENTRY, once in the library: defines what a new context goes on at.  It calls weir__fiber_main() and is
 * the end of every backtrace.
 */
void weir__fiber_entry(void);

/* The floating-point control words of the running context; loaded only if they differ from those in force. */
struct weir__floating;
static inline void weir__floating_store(struct weir__floating *ret_floating);
static inline void weir__floating_load(const struct weir__floating *floating);

static inline void weir__switch(void **ret_sp, void *sp);

/* Writes a new context, with these control words, below `top` (16-byte aligned) of a stack that begins at `bottom`;
 * returns what weir__switch() takes. */
static inline void *weir__context_begin(void *bottom, void *top, const struct weir__floating *floating);

#if defined(WEIR__SWITCH_UCONTEXT)
#include "rt/switch_ucontext.h"
#elif defined(__x86_64__)
#include "rt/switch_x86_64.h"
#elif defined(__aarch64__)
#include "rt/switch_aarch64.h"
#else
#error "no assembly for this processor: build with -Dswitch=ucontext"
#endif

#endif
