/* SPDX-License-Identifier: MIT */
/*
 * flow.max_memory: while weir and its children hold more than they should, fewer items are taken.
 *
 * Ten times a second what they hold is looked up in /proc.  The number of items that may be under way begins small and
 * doubles, until what an item takes can be told; over nine tenths of what is allowed it shrinks by a quarter.  From
 * then on it grows by an eighth below three quarters, and by less up to 17 twentieths.  Before it grows, half as many
 * items must have ended: while an upstream has not answered yet, items take nothing.  Items that are under way go on:
 * nothing is thrown away for it.
 *
 * After such a time much of what is held belongs to no item: connections that are idle, stacks.  Other items use it
 * again.  So what is held says no more what an item takes, and the room grows step by step.
 *
 * What was freed may still be held by the allocator, so it is asked to give that back first.
 */
#include "engine/parts.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>
#include <weir/weir.h>

#define LOOK_PERIOD (WEIR_SEC / 10)
#define TRIM_PERIOD (WEIR_SEC / 2)

enum { ROOM_FIRST = 8 };

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

static uint64_t goal_of(const struct engine_memory *memory)
{
	return memory->most / 20 * 17;
}

/* How many there may be when all take what those that are under way do. */
static size_t room_by_size(const struct engine_memory *memory, size_t under_way, uint64_t used)
{
	if (!under_way || used <= memory->base)
		return SIZE_MAX;
	uint64_t each = (used - memory->base) / under_way + 1;
	return under_way + (size_t)((goal_of(memory) - used) / each);
}

/* More, with less than the goal in use. */
static size_t grow(const struct engine_memory *memory, size_t under_way, uint64_t used)
{
	size_t room = memory->room;
	bool is_low = used < memory->most / 4 * 3;
	if (memory->full)
		return room + room / (is_low ? 8 : 16) + 1;
	size_t most = room_by_size(memory, under_way, used);
	if (!is_low || most < room)
		return room;
	return most / 2 < room ? most : 2 * room;
}

void engine_memory_look(struct engine_memory *memory, size_t under_way, uint64_t used)
{
	size_t room = memory->room;
	memory->used = used;
	if (used > memory->most / 10 * 9) {
		size_t from = under_way < room ? under_way : room;
		room = from - from / 4;
		room -= room == from && room > 1;
		memory->full = true;
	} else if (used < goal_of(memory) && under_way >= room / 2 && memory->ended >= room / 2) {
		room = grow(memory, under_way, used);
	}
	room = room ? room : 1;
	if (room != memory->room)
		memory->ended = 0;
	memory->room = room;
}

void engine_memory_begin(struct engine_memory *memory, uint64_t most)
{
	*memory = (struct engine_memory){.most = most, .room = most ? ROOM_FIRST : SIZE_MAX};
	memory->base = most ? engine_memory_bytes() : 0;
}

int engine_watch_memory(void *arg)
{
	struct engine_load *load = arg;
	struct engine_memory *memory = &load->memory;
	weir_nsec trimmed = 0;
	while (!weir_sleep(LOOK_PERIOD)) {
		uint64_t used = engine_memory_bytes();
		if (used > memory->most / 10 * 9 && weir_now() - trimmed >= TRIM_PERIOD) {
			malloc_trim(0);
			trimmed = weir_now();
			used = engine_memory_bytes();
		}
		size_t before = memory->room;
		engine_memory_look(memory, load->under_way, used);
		if (memory->room > before)
			weir_event_set(load->has_room);
	}
	return 0;
}
