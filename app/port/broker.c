/* SPDX-License-Identifier: MIT */
#include "port/broker.h"

void broker_past_fini(struct broker_past *past)
{
	value_fini(&past->plan);
	value_fini(&past->source);
	for (int i = 0; i < LANES; i++)
		value_fini(&past->positions[i]);
	*past = (struct broker_past){0};
}
