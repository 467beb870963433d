# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# On a kernel with pages of 64 KiB, as some of 64-bit ARM have, a guard leaves room for the stack above it.
cat >pages.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
long sysconf(int name)
{
	long (*next)(int) = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
	return name == _SC_PAGESIZE ? 65536 : next(name);
}
C
expect cc -shared -fPIC pages.c -o pages.so
orders 50
mock --seed 1
pipeline_orders
LD_PRELOAD=$PWD/pages.so run
expect_code 0
expect_rows 50
