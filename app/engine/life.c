/* SPDX-License-Identifier: MIT */
#include "engine/life.h"

#include "data/secret.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

const char *engine_state_name(enum engine_state state)
{
	static const char *const names[] = {"running", "draining", "failed", "done", "stopped", "submitted"};
	return names[state];
}

bool engine_has_role(const struct engine_life *life, enum engine_role role)
{
	return !life->opts.roles || (life->opts.roles & role);
}

void engine_note(const struct engine_life *life, const char *format, ...)
{
	char text[300];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	secret_hide_text(text);
	if (life->opts.note)
		life->opts.note(life->opts.arg, text);
}

void engine_end(struct engine_life *life, const char *reason)
{
	if (life->state != ENGINE_RUNNING)
		return;
	life->state = ENGINE_DRAINING;
	life->reason = reason;
	weir_event_set(life->stopping);
}

void engine_give_up(struct engine_life *life, const char *format, ...)
{
	va_list args;
	if (life->state != ENGINE_RUNNING)
		return;
	va_start(args, format);
	vsnprintf(life->gave_up, sizeof life->gave_up, format, args);
	va_end(args);
	engine_end(life, life->gave_up);
}

void engine_fail(struct engine_life *life, int exit_code, const struct weir_error *err)
{
	if (life->failed_exit)
		return;
	life->failed_exit = exit_code;
	life->failure = *err;
	life->state = ENGINE_FAILED;
	life->reason = life->failure.text;
	weir_event_set(life->stopping);
}

int engine_exit_of(int code)
{
	switch (code) {
	case WEIR_EIO:
	case WEIR_ENOSPC:
	case WEIR_EDATA:
		return EX_IOERR;
	case WEIR_EINVAL:
		return EX_CONFIG;
	case WEIR_EAGAIN:
		return EX_TEMPFAIL;
	default:
		return EX_UNAVAILABLE;
	}
}
