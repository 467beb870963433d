/* SPDX-License-Identifier: MIT */
/* Looking up adapters.  There are few, and it happens while a config is read: a walk will do. */
#include "port/adapter.h"

#include <string.h>

const struct adapter *adapter_find(enum adapter_kind kind, const char *name)
{
	for (const struct adapter *const *at = adapter_registry; *at; at++)
		if ((*at)->kind == kind && strcmp((*at)->name, name) == 0)
			return *at;
	return NULL;
}

const char *adapter_kind_name(enum adapter_kind kind)
{
	static const char *const names[] = {"source", "broker", "step", "sink"};
	return names[kind];
}
