/* SPDX-License-Identifier: MIT */
/* Broken contracts: say where and stop, in release builds too. */
#ifndef BASE_CONTRACT_H
#define BASE_CONTRACT_H

#include <weir/base.h>

#define weir__likely(x)   __builtin_expect(!!(x), 1)
#define weir__unlikely(x) __builtin_expect(!!(x), 0)

/* Prints "PLACE: what is wrong" and aborts.  The place is `here`, where the caller's call stands (WEIR_HERE); if that
 * is NULL, the line that the call came `from`, or, where nothing tells the line, the program and the address in it. */
_Noreturn void weir__broken(const char *here, const void *from, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define weir__require(condition, here, ...)                                                                            \
	do {                                                                                                           \
		if (weir__unlikely(!(condition)))                                                                      \
			weir__broken(here, __builtin_return_address(0), __VA_ARGS__);                                  \
	} while (0)

/* The function under a macro that passes its place on, for pointers to it and for other languages: it knows no place.
 */
#define weir__function(name, type)                                                                                     \
	void(weir_##name)(type object)                                                                                 \
	{                                                                                                              \
		weir__##name(NULL, object);                                                                            \
	}

#endif
