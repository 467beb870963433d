/* SPDX-License-Identifier: MIT */
/* Broken contracts name the line of the call, also those whose call passes no WEIR_HERE. */
#include "unit/death.h"

#include "rt/sanitize.h"

#include <weir/weir.h>

/* The tests for other processors run in an emulator, without its addr2line.  Builds for the sanitizers keep the frames
 * of libweir-testing, which stand between some calls and the library. */
#if defined(__x86_64__) && !defined(WEIR__ASAN) && !defined(WEIR__TSAN)
/* All that need a fiber, with the least that compiles: the fiber is asked for first. */
#define CALLS(X)                                                                                                       \
	X(weir_yield)                                                                                                  \
	X(weir_sleep, WEIR_MSEC)                                                                                       \
	X(weir_sleep_until, WEIR_FOREVER)                                                                              \
	X(weir_shield_enter)                                                                                           \
	X(weir_deadline_enter, NULL, WEIR_FOREVER)                                                                     \
	X(weir_run_stats, NULL)                                                                                        \
	X(weir_inspect_fibers, 0, NULL, NULL)                                                                          \
	X(weir_group_spawn_with, NULL, NULL, NULL, NULL, WEIR_FOREVER)                                                 \
	X(weir_group_wait, NULL, WEIR_FOREVER)                                                                         \
	X(weir_group_run, NULL, 0, WEIR_FOREVER)                                                                       \
	X(weir_event_wait, NULL, WEIR_FOREVER)                                                                         \
	X(weir_select, NULL, 0, WEIR_FOREVER)                                                                          \
	X(weir_queue_put, NULL, NULL, WEIR_FOREVER)                                                                    \
	X(weir_queue_put_at, NULL, NULL, 0, WEIR_FOREVER)                                                              \
	X(weir_queue_get, NULL, NULL, WEIR_FOREVER)                                                                    \
	X(weir_queue_join, NULL, WEIR_FOREVER)                                                                         \
	X(weir_sem_acquire, NULL, 1, WEIR_FOREVER)                                                                     \
	X(weir_rate_limiter_acquire, NULL, 1, WEIR_FOREVER)                                                            \
	X(weir_call_to, NULL, NULL, NULL, NULL, WEIR_FOREVER)                                                          \
	X(weir_process, NULL, NULL, WEIR_FOREVER)                                                                      \
	X(weir_offload, NULL, NULL, WEIR_FOREVER)                                                                      \
	X(weir_offload_owned, NULL, NULL, NULL, WEIR_FOREVER)                                                          \
	X(weir_pool_call, NULL, NULL, NULL, WEIR_FOREVER)                                                              \
	X(weir_io_open, 0, NULL)                                                                                       \
	X(weir_io_wait, NULL, WEIR_READABLE, WEIR_FOREVER)                                                             \
	X(weir_io_read, NULL, NULL, 0, WEIR_FOREVER)                                                                   \
	X(weir_io_write, NULL, NULL, 0, WEIR_FOREVER)                                                                  \
	X(weir_child_call, NULL, "", 0, NULL, NULL, NULL, WEIR_FOREVER)

#define CALL_OUTSIDE(name, ...)                                                                                        \
	static void outside_##name(void)                                                                               \
	{                                                                                                              \
		breaks(name(__VA_ARGS__));                                                                             \
		__asm__ volatile(""); /* no tail call, which would leave the address of our caller */                  \
	}
CALLS(CALL_OUTSIDE)

#define ASSERT_BREAKS(name, ...)                                                                                       \
	assert_breaks(outside_##name, #name ": called outside of a fiber; start one with weir_run()");

TEST(contract_calls_outside_of_fibers_name_their_line)
{
	CALLS(ASSERT_BREAKS);
}
#endif

static void sleep_without_descriptors(void)
{
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, 0});
	weir_sleep(WEIR_MSEC);
	__asm__ volatile("");
}

TEST(contract_place_without_addr2line_is_program_and_address)
{
	assert_aborts(sleep_without_descriptors, "weir-test+0x");
	assert_aborts(sleep_without_descriptors,
		      ": weir_sleep: called outside of a fiber; start one with weir_run()\n");
}
