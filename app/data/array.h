/* SPDX-License-Identifier: MIT */
/* Arrays that grow. */
#ifndef DATA_ARRAY_H
#define DATA_ARRAY_H

#include <stdlib.h>
#include <string.h>
#include <weir/base.h>

/* Makes room for n elements of so many bytes; at_array is the address of the pointer to them, NULL while *room is 0.
 * WEIR_ENOMEM: the array is as it was. */
static inline int array_reserve(void *at_array, size_t *room, size_t n, size_t bytes)
{
	void *array;
	if (n <= *room)
		return 0;
	size_t more = n > 2 * *room ? n : 2 * *room;
	memcpy(&array, at_array, sizeof array);
	void *grown = reallocarray(array, more, bytes);
	if (!grown)
		return WEIR_ENOMEM;
	memcpy(at_array, &grown, sizeof grown);
	*room = more;
	/* cppcheck-suppress memleak */
	return 0;
}

#endif
