/* SPDX-License-Identifier: MIT */
/* Broken contracts: say where and stop, in release builds too. */
#ifndef BASE_CONTRACT_H
#define BASE_CONTRACT_H

#define weir__likely(x)   __builtin_expect(!!(x), 1)
#define weir__unlikely(x) __builtin_expect(!!(x), 0)

/* Prints "file:line: weir: text" and aborts. */
_Noreturn void weir__broken(const char *file, int line, const char *text);

#define weir__require(condition, text)                                                                                 \
	do {                                                                                                           \
		if (weir__unlikely(!(condition)))                                                                      \
			weir__broken(__FILE__, __LINE__, text);                                                        \
	} while (0)

#endif
