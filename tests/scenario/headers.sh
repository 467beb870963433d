# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The public headers are C17 and C++17 without an extension or a warning: each alone, all in one file, and twice.
headers=$(cd "$TREE/include" && printf '%s\n' weir/*.h)

compile_as() {
	expect "$@" -Wall -Wextra -pedantic -Werror -fsyntax-only "-I$TREE/include" program.c
}

all_languages() {
	compile_as cc -std=c17 -x c
	compile_as g++ -std=c++17 -x c++
}

for header in $headers; do
	printf '#include <%s>\n' "$header" "$header" >program.c
	echo 'int weir_main(void);' >>program.c
	all_languages
done
for header in $headers; do printf '#include <%s>\n' "$header"; done | sort -r >program.c
echo 'int weir_main(void);' >>program.c
all_languages

# All of them are installed.
for header in $headers; do
	expect grep -qF "'${header#weir/}'" "$TREE/include/weir/meson.build"
done
