/* SPDX-License-Identifier: MIT */
/*
 * A group from its making to its end.  All by the public calls, and in a file of its own: so a test program can let
 * each spawn in here fail (weir/testing.h).
 */
#include "rt/fiber.h"

#include <weir/group.h>

static int start(struct weir_group *group, const struct weir_group_part *part)
{
	const struct weir_spawn_options opts = {.background = part->background};
	int code = 0;
	for (size_t started = 0; code == 0 && started < (part->fibers ? part->fibers : 1); started++)
		code = weir_group_spawn_with(group, &opts, part->fn, part->arg, WEIR_FOREVER);
	return code;
}

static void end(struct weir_group *group)
{
	weir_group_cancel(group);
	weir_shield_enter();
	weir_group_wait(group, WEIR_FOREVER);
	weir_shield_leave();
}

int weir_group_run(const struct weir_group_part *parts, size_t n, weir_nsec deadline)
{
	struct weir_group *group;
	int code = weir__check_cancel() ? WEIR_ECANCELED : weir__refuse(deadline);
	if (code < 0 || (code = weir_group_new(NULL, &group)) < 0)
		return code;
	for (size_t i = 0; i < n && code == 0; i++)
		code = start(group, &parts[i]);
	if (code == 0)
		code = weir_group_wait(group, deadline);
	if (code < 0)
		end(group);
	weir_group_free(group);
	return code;
}
