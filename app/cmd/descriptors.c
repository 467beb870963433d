/* SPDX-License-Identifier: MIT */
#include "cmd/descriptors.h"

#include "cmd/cmd.h"
#include "data/terminal.h"

#include <sysexits.h>

/* Descriptors of a run without steps, with some for a moment (a request on the control socket, a folder that is
 * synced); and those that are kept from the connections of its items. */
enum { FDS_LEAST = 28, FDS_RESERVED = 40 };

static unsigned of_each_run(const struct plan_adapter *step)
{
	const struct step_ops *ops = step->adapter->step;
	return ops->descriptors ? ops->descriptors(step->config) : 0;
}

int descriptors_need(const struct plan *plan, const char *file)
{
	rlim_t allowed = cmd_raise_descriptors();
	unsigned needed = FDS_LEAST;
	for (size_t i = 0; plan && i < plan->step_count; i++) {
		const struct step_ops *step = plan->steps[i].adapter->step;
		needed += (step->held ? step->held(plan->steps[i].config) : 0) + of_each_run(&plan->steps[i]);
	}
	if (allowed >= needed)
		return 0;
	terminal_complain("weir", "%s: a run needs at least %u open files, but the limit (ulimit -n) is %llu; raise it",
			  file, needed, (unsigned long long)allowed);
	return EX_UNAVAILABLE;
}

size_t descriptors_concurrency(const struct plan *plan)
{
	rlim_t allowed = cmd_raise_descriptors();
	unsigned each = 0;
	for (size_t i = 0; i < plan->step_count; i++)
		each += of_each_run(&plan->steps[i]);
	if (!each || allowed == RLIM_INFINITY)
		return 0;
	return allowed > FDS_RESERVED + each ? (size_t)(allowed - FDS_RESERVED) / each : 1;
}
