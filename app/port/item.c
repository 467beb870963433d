/* SPDX-License-Identifier: MIT */
#include "port/item.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/run.h>

#include "data/secret.h"

struct item *item_new(void)
{
	return calloc(1, sizeof(struct item));
}

void item_free(struct item *item)
{
	if (!item)
		return;
	value_fini(&item->source);
	value_list_fini(&item->outputs);
	value_fini(&item->record);
	value_fini(&item->evidence);
	free(item->key);
	item_forget_why(item);
	free(item);
}

static weir_nsec age_of(weir_nsec time, weir_nsec now)
{
	return !time ? -1 : now > time ? now - time : 0;
}

struct item_ages item_ages_of(const struct item *item)
{
	const struct weir_attempts *state = &item->attempt_state;
	weir_nsec now = weir_now();
	bool began = state->taken && state->first != WEIR_FOREVER;
	return (struct item_ages){
		.born = age_of(item->born, weir_clock()),
		.taken = age_of(state->taken, now),
		/* Time that was excused does not count. */
		.attempted = !began ? -1 : age_of(state->first, state->excused == WEIR_FOREVER ? now : state->excused),
	};
}

static weir_nsec time_of(weir_nsec age, weir_nsec now)
{
	return age < 0 ? 0 : now - age;
}

void item_set_ages(struct item *item, const struct item_ages *ages, weir_nsec after)
{
	weir_nsec now = weir_now() - after;
	item->stay = (struct item_stay){.queued = weir_clock() - after};
	item->born = time_of(ages->born, item->stay.queued);
	item->returned = ages->taken >= 0;
	item->attempted = ages->attempted >= 0;
	item->attempt_state = (struct weir_attempts){
		.taken = time_of(ages->taken, now),
		.first = item->attempted ? time_of(ages->attempted, now) : WEIR_FOREVER,
		.excused = WEIR_FOREVER,
	};
}

/* ---- the last failure */

static char no_memory[] = "out of memory";

void item_set_why(struct item *item, const char *format, ...)
{
	char text[ITEM_WHY_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	secret_hide_text(text);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7F)
			*c = '?';
	item_forget_why(item);
	item->why = text[0] ? strdup(text) : NULL;
	if (text[0] && !item->why)
		item->why = no_memory;
}

const char *item_why(const struct item *item)
{
	return item->why ? item->why : "";
}

void item_forget_why(struct item *item)
{
	if (item->why != no_memory)
		free(item->why);
	item->why = NULL;
}
