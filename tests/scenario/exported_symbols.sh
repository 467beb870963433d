# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The shared library exports what weir.h and the headers in it declare WEIR_API, all of it and nothing else.
declared() {
	sed -n 's,^#include <\(weir/.*\)>,\1,p' "$TREE/include/weir/weir.h" | (cd "$TREE/include" && xargs cat) |
		sed -e 's,//.*,,' -e '/^#/d' | tr '\n' ' ' | sed -e 's,/\*[^*]*\**\([^/*][^*]*\**\)*/, ,g' |
		grep -oE '\bWEIR_API\b[^;({[]*' | sed -E 's/[[:space:]]+$//; s/.*[^A-Za-z0-9_]//' | sort
}

exported() {
	nm -D --defined-only "$(dirname "$WEIR")/lib/libweir.so" | awk '{ print $3 }' | sort
}

declared >declared.txt
exported >exported.txt
[ "$(wc -l <declared.txt)" -gt 40 ] || fail "only $(wc -l <declared.txt) declarations were found"
uniq -d declared.txt >twice.txt
expect_lines 0 twice.txt
expect diff declared.txt exported.txt
