/* SPDX-License-Identifier: MIT */
/*
 * The context switch of 64-bit ARM.  A context, from its stack pointer up:
 *
 *     0 FPCR   8 where to go on   16 x29
 *
 * There is no red zone.  x29 may be the frame pointer, which cannot be declared clobbered, so it is saved here; all
 * other registers are the compiler's business.  FPCR holds control bits only (the sticky flags are in FPSR, which is
 * nobody's); writing it stalls, so it is written only if it differs.
 */
#ifndef RT_SWITCH_AARCH64_H
#define RT_SWITCH_AARCH64_H

#include <stdint.h>

#ifdef __ARM_FEATURE_SVE
#define WEIR__CLOBBER_SVE                                                                                              \
	, "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13", "p14", "p15"
#else
#define WEIR__CLOBBER_SVE
#endif

/* What an indirect jump may lead to, where the processor checks that. */
#ifdef __ARM_FEATURE_BTI_DEFAULT
#define WEIR__LANDING "hint #36\n\t" /* bti j */
#else
#define WEIR__LANDING
#endif

static inline __attribute__((always_inline)) void weir__switch(void **ret_sp, void *sp)
{
	register void **x0 __asm__("x0") = ret_sp;
	register void *x1 __asm__("x1") = sp;
	__asm__ volatile("mrs x9, fpcr\n\t"
			 "adr x10, 2f\n\t"
			 "stp x9, x10, [sp, #-32]!\n\t"
			 "str x29, [sp, #16]\n\t"
			 "mov x11, sp\n\t"
			 "str x11, [x0]\n\t"
			 "mov sp, x1\n\t"
			 "ldp x12, x13, [sp]\n\t"
			 "cmp x12, x9\n\t"
			 "b.eq 1f\n\t"
			 "msr fpcr, x12\n"
			 "1:\tbr x13\n"
			 "2:\t" WEIR__LANDING "ldr x29, [sp, #16]\n\t"
			 "add sp, sp, #32"
			 : "+r"(x0), "+r"(x1)
			 :
			 : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
			   "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28",
			   "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12",
			   "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",
			   "v26", "v27", "v28", "v29", "v30", "v31", "memory", "cc" WEIR__CLOBBER_SVE);
}

#define WEIR__FIBER_ENTRY                                                                                              \
	__asm__(".text\n"                                                                                              \
		".globl weir__fiber_entry\n"                                                                           \
		".hidden weir__fiber_entry\n"                                                                          \
		".type weir__fiber_entry, %function\n"                                                                 \
		".p2align 4\n"                                                                                         \
		"weir__fiber_entry:\n"                                                                                 \
		".cfi_startproc\n"                                                                                     \
		".cfi_undefined x30\n"                                                                                 \
		"	" WEIR__LANDING "mov x29, xzr\n"                                                               \
		"	mov x30, xzr\n"                                                                                      \
		"	add sp, sp, #32\n"                                                                                   \
		"	bl weir__fiber_main\n"                                                                               \
		"	brk #1\n"                                                                                            \
		".cfi_endproc\n"                                                                                       \
		".size weir__fiber_entry, . - weir__fiber_entry\n");

struct weir__floating {
	uint64_t fpcr;
};

static inline void weir__floating_store(struct weir__floating *ret_floating)
{
	__asm__ volatile("mrs %0, fpcr" : "=r"(ret_floating->fpcr));
}

static inline void weir__floating_load(const struct weir__floating *floating)
{
	struct weir__floating now;
	weir__floating_store(&now);
	if (__builtin_expect(now.fpcr != floating->fpcr, 0))
		__asm__ volatile("msr fpcr, %0" : : "r"(floating->fpcr));
}

static inline void *weir__context_begin(void *bottom, void *top, const struct weir__floating *floating)
{
	struct context {
		struct weir__floating floating;
		void (*resume)(void);
		void *x29, *zero;
	} *context = (struct context *)top - 1;
	(void)bottom;
	context->floating = *floating;
	context->resume = weir__fiber_entry;
	context->x29 = context->zero = (void *)0;
	return context;
}

#endif
