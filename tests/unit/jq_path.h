/* SPDX-License-Identifier: MIT */
/* The real weir-jq: the one WEIR_JQ names, else that of the build folder. */
#ifndef UNIT_JQ_PATH_H
#define UNIT_JQ_PATH_H

#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline const char *jq_path(void)
{
	const char *given = getenv("WEIR_JQ");
	if (given)
		return given;
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	ck_assert_int_gt(n, 0);
	exe[n] = 0;
	*strrchr(exe, '/') = 0;
	return test_format("%s/../weir-jq", exe);
}

/* Of a weir beside it. */
static inline const char *exe_path(void)
{
	const char *slash = strrchr(jq_path(), '/');
	return test_format("%.*sweir", (int)(slash - jq_path()) + 1, jq_path());
}

#endif
