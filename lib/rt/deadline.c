/* SPDX-License-Identifier: MIT */
/*
 * Deadlines over several calls: a list of scopes, each on its fiber's stack, the innermost first.
 *
 * `at` of a scope is already the earliest of its own and its outer ones', so weir__wait() looks at one number.  A scope
 * counts only as deep in shields as it was entered: a shield hides the scopes around it without touching them.
 */
#include "rt/fiber.h"

weir_nsec weir_deadline_now(void)
{
	const struct weir_fiber *self = weir__self;
	const struct weir_deadline *scope = self->scope;
	return scope && scope->shield == self->shield ? scope->at : WEIR_FOREVER;
}

weir_nsec weir__deadline(weir_nsec deadline)
{
	weir_nsec scope = weir_deadline_now();
	return weir__earlier(scope, deadline) ? scope : deadline;
}

int weir__refuse(weir_nsec deadline)
{
	if (deadline == WEIR_TRY)
		return WEIR_EAGAIN;
	deadline = weir__deadline(deadline);
	return deadline != WEIR_FOREVER && deadline <= weir_now() ? WEIR_ETIMEDOUT : 0;
}

void weir_deadline_enter(struct weir_deadline *scope, weir_nsec deadline)
{
	struct weir_fiber *self = weir__self;
	weir__require_fiber(self->fn);
	scope->at = weir__deadline(deadline == WEIR_TRY ? 1 : deadline);
	scope->outer = self->scope;
	scope->shield = self->shield;
	self->scope = scope;
}

void weir__deadline_leave(const char *here, struct weir_deadline *scope)
{
	struct weir_fiber *self = weir__self;
	weir__require(self->scope == scope && scope && scope->shield == self->shield, here,
		      "weir_deadline_leave: this fiber has entered another deadline or shield since");
	self->scope = scope->outer;
}

weir__function(deadline_leave, struct weir_deadline *);
