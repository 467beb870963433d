/* SPDX-License-Identifier: MIT */
/*
 * The fibers of a loop, as somebody from outside sees them.  There is no list of them: their records lie in slabs, and
 * those in use have a function.
 *
 * How deep a stack went is asked of the kernel: pages that were never touched are not there.  They are looked at from
 * the low end, a few at a time, so that a huge stack needs no huge answer.
 */
#include "rt/loop.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <weir/inspect.h>

enum { PAGES_AT_ONCE = 256 };

const char *weir_fiber_state_name(enum weir_fiber_state state)
{
	static const char *const names[] = {"new", "ready", "running", "waiting"};
	return names[state];
}

/* A canary lies in the lowest page where there is no guard: that page tells nothing. */
static size_t touched_bytes(const struct weir__stack *stack)
{
	unsigned char there[PAGES_AT_ONCE];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *at = stack->checked.bottom + (stack->guarded ? 0 : page),
	     *end = stack->checked.bottom + stack->checked.bytes;
	while (at < end) {
		size_t pages = (size_t)(end - at) / page;
		if (pages > PAGES_AT_ONCE)
			pages = PAGES_AT_ONCE;
		if (mincore(at, pages * page, there))
			return 0;
		for (size_t i = 0; i < pages; i++, at += page)
			if (there[i] & 1)
				return (size_t)(end - at);
	}
	return 0;
}

static enum weir_fiber_state state_of(const struct weir_fiber *fiber)
{
	if (fiber == weir__self)
		return WEIR_FIBER_RUNNING;
	if (fiber->waiter)
		return WEIR_FIBER_WAITING;
	return fiber->sp ? WEIR_FIBER_READY : WEIR_FIBER_NEW;
}

static void describe(const struct weir__loop *loop, const struct weir_fiber *fiber, unsigned flags,
		     struct weir_fiber_info *ret_info)
{
	*ret_info = (struct weir_fiber_info){
		.id = fiber,
		.name = fiber->name,
		.state = state_of(fiber),
		.canceled = fiber->canceled,
	};
	if (ret_info->state == WEIR_FIBER_WAITING) {
		size_t timer = fiber->timer.index;
		ret_info->waits_on = fiber->waiter->what ? fiber->waiter->what : "something";
		ret_info->since = fiber->waiter->since;
		ret_info->until = timer ? loop->timers.entries[timer].key : WEIR_FOREVER;
	}
	if (flags & WEIR_INSPECT_STACKS && fiber->sp) {
		ret_info->stack_bytes = fiber->stack->checked.bytes;
		ret_info->stack_most_bytes = touched_bytes(fiber->stack);
	}
}

int weir_inspect_fibers(unsigned flags, weir_inspect_fn fn, void *arg)
{
	const struct weir__loop *loop = weir__loop;
	weir__require_fiber(loop);
	for (const struct weir__fiber_slab *slab = loop->fiber_slabs; slab; slab = slab->next) {
		for (int i = 0; i < WEIR__SLAB_FIBERS; i++) {
			struct weir_fiber_info info;
			if (!slab->fibers[i].fn)
				continue;
			describe(loop, &slab->fibers[i], flags, &info);
			int code = fn(&info, arg);
			if (code)
				return code;
		}
	}
	return 0;
}

struct dump {
	char *buf;
	size_t room, used, total; /* of the buffer; what lies in it; what there would be */
	weir_nsec now;
};

static int dump_line(const struct weir_fiber_info *info, void *arg)
{
	struct dump *dump = arg;
	char line[256];
	size_t n = 0;
#define ADD(...) (n += (size_t)snprintf(line + n, n < sizeof line ? sizeof line - n : 0, __VA_ARGS__))
	ADD("%-20.60s %s", info->name ? info->name : "-", weir_fiber_state_name(info->state));
	if (info->waits_on)
		ADD(": %.40s for %.3f s", info->waits_on, (double)(dump->now - info->since) / 1e9);
	if (info->waits_on && info->until != WEIR_FOREVER)
		ADD(", at most %.3f s more", (double)(info->until - dump->now) / 1e9);
	if (info->stack_bytes)
		ADD(", stack %zu of %zu KiB", info->stack_most_bytes / 1024, info->stack_bytes / 1024);
	ADD("%s\n", info->canceled ? ", cancelled" : "");
#undef ADD
	/* In order: a short line after one that did not fit would hide the gap. */
	if (dump->used == dump->total && dump->used + n < dump->room) {
		memcpy(dump->buf + dump->used, line, n + 1);
		dump->used += n;
	}
	dump->total += n;
	return 0;
}

size_t weir_inspect_dump(unsigned flags, char *buf, size_t n)
{
	struct dump dump = {.buf = buf, .room = n, .now = weir_now()};
	if (n)
		*buf = '\0';
	weir_inspect_fibers(flags, dump_line, &dump);
	return dump.total;
}
