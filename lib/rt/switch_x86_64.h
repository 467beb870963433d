/* SPDX-License-Identifier: MIT */
/*
 * The context switch of x86-64.  A context, from its stack pointer up:
 *
 *     0 MXCSR (4 bytes)   4 x87 control word (2)   8 where to go on   16 rbp
 *
 * Loading the control words stalls (60 ns when the sticky flags differ), so they are loaded only if their control bits
 * differ from those in force.
 */
#ifndef RT_SWITCH_X86_64_H
#define RT_SWITCH_X86_64_H

#include <stdint.h>

#ifdef __AVX512F__
#define WEIR__CLOBBER_AVX512                                                                                           \
	, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27",  \
		"xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define WEIR__CLOBBER_AVX512
#endif

static inline __attribute__((always_inline)) void weir__switch(void **ret_sp, void *sp)
{
	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\t" /* past the red zone */
			 "pushq %%rbp\n\t"
			 "leaq 3f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "subq $8, %%rsp\n\t"
			 "stmxcsr (%%rsp)\n\t"
			 "fnstcw 4(%%rsp)\n\t"
			 "movl (%%rsp), %%r8d\n\t"
			 "movzwl 4(%%rsp), %%r9d\n\t"
			 "movq %%rsp, (%%rdi)\n\t"
			 "movq %%rsi, %%rsp\n\t"
			 "movq 8(%%rsp), %%rcx\n\t"
			 "movl (%%rsp), %%r10d\n\t"
			 "xorl %%r8d, %%r10d\n\t"
			 "testl $0xffc0, %%r10d\n\t" /* rounding, masks, flush to zero; not the sticky flags */
			 "jnz 1f\n\t"
			 "movzwl 4(%%rsp), %%r11d\n\t"
			 "cmpl %%r9d, %%r11d\n\t"
			 "je 2f\n"
			 "1:\tldmxcsr (%%rsp)\n\t"
			 "fldcw 4(%%rsp)\n"
			 "2:\tjmpq *%%rcx\n"
			 "3:\taddq $16, %%rsp\n\t"
			 "popq %%rbp\n\t"
			 "leaq 128(%%rsp), %%rsp"
			 : "+D"(ret_sp), "+S"(sp)
			 :
			 : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0",
			   "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
			   "xmm12", "xmm13", "xmm14", "xmm15", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)",
			   "st(6)", "st(7)", "memory", "cc" WEIR__CLOBBER_AVX512);
}

#define WEIR__FIBER_ENTRY                                                                                              \
	__asm__(".text\n"                                                                                              \
		".globl weir__fiber_entry\n"                                                                           \
		".hidden weir__fiber_entry\n"                                                                          \
		".type weir__fiber_entry, @function\n"                                                                 \
		".p2align 4\n"                                                                                         \
		"weir__fiber_entry:\n"                                                                                 \
		".cfi_startproc\n"                                                                                     \
		".cfi_undefined rip\n"                                                                                 \
		"	xorl %ebp, %ebp\n"                                                                                   \
		"	addq $16, %rsp\n"                                                                                    \
		"	call weir__fiber_main\n"                                                                             \
		"	ud2\n"                                                                                               \
		".cfi_endproc\n"                                                                                       \
		".size weir__fiber_entry, . - weir__fiber_entry\n");

struct weir__floating {
	uint32_t mxcsr;
	uint16_t x87;
};

static inline void weir__floating_store(struct weir__floating *ret_floating)
{
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(ret_floating->mxcsr), "=m"(ret_floating->x87));
}

/* As the switch does it: only if the control bits differ. */
static inline void weir__floating_load(const struct weir__floating *floating)
{
	struct weir__floating now;
	weir__floating_store(&now);
	if (__builtin_expect(((now.mxcsr ^ floating->mxcsr) & 0xffc0) || now.x87 != floating->x87, 0))
		__asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(floating->mxcsr), "m"(floating->x87));
}

static inline void *weir__context_begin(void *bottom, void *top, const struct weir__floating *floating)
{
	struct context {
		struct weir__floating floating;
		void (*resume)(void);
		void *rbp, *zero;
	} *context = (struct context *)top - 1;
	(void)bottom;
	context->floating = *floating;
	context->resume = weir__fiber_entry;
	context->rbp = context->zero = (void *)0;
	return context;
}

#endif
