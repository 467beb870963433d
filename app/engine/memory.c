/* SPDX-License-Identifier: MIT */
/*
 * flow.max_memory: while weir and its children hold more than they should, fewer items are taken.
 *
 * Ten times a second what they hold is looked up in /proc.  Over nine tenths of what is allowed the number of items
 * that may be under way shrinks by a quarter, below three quarters it grows by an eighth, and when it has not been the
 * limit for long there is none.  Items that are under way go on: nothing is thrown away for it.
 *
 * What was freed may still be held by the allocator, so it is asked to give that back first.
 */
#include "engine/internal.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#define LOOK_PERIOD (WEIR_SEC / 10)
#define TRIM_PERIOD (WEIR_SEC / 2)

/* Pages that a process has in memory; 0: it is gone. */
static uint64_t pages_of(const char *path)
{
	unsigned long long pages = 0;
	FILE *file = fopen(path, "re");
	if (file && fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages;
}

uint64_t engine_memory_bytes(void)
{
	char path[64];
	uint64_t pages = pages_of("/proc/self/statm");
	int pid;
	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	FILE *children = fopen(path, "re");
	while (children && fscanf(children, "%d", &pid) == 1) {
		snprintf(path, sizeof path, "/proc/%d/statm", pid);
		pages += pages_of(path);
	}
	if (children)
		fclose(children);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What may be under way from now on, with so many bytes in use. */
size_t engine_memory_room(size_t room, size_t under_way, uint64_t used, uint64_t most)
{
	if (used > most / 10 * 9) {
		size_t from = under_way < room ? under_way : room, to = from - from / 4;
		to = to == from && to > 1 ? to - 1 : to;
		return to ? to : 1;
	}
	if (room == SIZE_MAX || used > most / 4 * 3)
		return room;
	size_t to = room + room / 8 + 1;
	return to > 2 * under_way + 64 ? SIZE_MAX : to;
}

int engine_watch_memory(void *arg)
{
	struct engine *engine = arg;
	uint64_t most = engine->plan->settings.max_memory;
	weir_nsec trimmed = 0;
	do {
		uint64_t used = engine_memory_bytes();
		if (used > most / 10 * 9 && weir_now() - trimmed >= TRIM_PERIOD) {
			malloc_trim(0);
			trimmed = weir_now();
			used = engine_memory_bytes();
		}
		size_t room = engine_memory_room(engine->room, engine->under_way, used, most);
		bool more = room > engine->room;
		engine->room = room;
		engine->memory_bytes = used;
		if (more)
			weir_event_set(engine->has_room);
	} while (!weir_sleep(LOOK_PERIOD));
	return 0;
}
