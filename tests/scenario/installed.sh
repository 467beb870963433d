# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What `make install` puts somewhere else works there: the command finds its jq; a program, in C and in C++, finds
# headers and library by pkg-config, the shared one and the archive.
expect env DESTDIR="$PWD/root" meson install -C "$(dirname "$WEIR")" --no-rebuild --quiet
prefix=$(dirname "$(dirname "$(find root -type f -name weir -path '*/bin/*')")")
pipeline <<'YAML'
source: { range: 1-10 }
broker: { memory: {} }
steps: [ jq: '{n: (. * 2)}' ]
sink: { jsonl: { path: out.jsonl } }
YAML
WEIR=$PWD/$prefix/bin/weir
run
expect_code 0
expect_json out.jsonl 'map(.n) | add == 110'

cat >program.c <<'C'
#include <stdio.h>
#include <weir/weir.h>
static int hello(void *arg)
{
	weir_sleep(WEIR_MSEC);
	return puts((const char *)arg) < 0;
}
int main(void)
{
	static char text[] = "hello";
	return weir_run(NULL, hello, text);
}
C
PKG_CONFIG_PATH=$(dirname "$PWD/$(find root -name weir.pc)")
export PKG_CONFIG_PATH
libs=$(find "$PWD/root" -name libweir.so -printf %h)

# build NAME COMPILER ... [-- PKG-CONFIG-OPTION ...]: by what pkg-config says, and nothing else.
build() {
	local name=$1 compiler=() flags
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		compiler+=("$1")
		shift
	done
	read -r -a flags <<<"$(pkg-config "${@:2}" --cflags --libs weir)"
	expect "${compiler[@]}" -o "$name" program.c "${flags[@]}"
}

says_hello() {
	[ "$("$@" 2>&1)" = hello ] || fail "$* does not say hello: $("$@" 2>&1 | tail -n 3)"
}

build shared cc -std=c17 -Wall -Wextra -Werror
expect grep -q 'NEEDED.*libweir\.so\.' <(objdump -p shared)
says_hello env LD_LIBRARY_PATH="$libs" ./shared
if ./shared >/dev/null 2>&1; then fail "the program found a library that is not this one"; fi

build shared++ g++ -x c++ -std=c++17 -Wall -Wextra -Werror
says_hello env LD_LIBRARY_PATH="$libs" ./shared++

# The archive of weir, with what else it needs.
rm "$libs"/libweir.so*
build archive cc -std=c17 -- --static
says_hello ./archive
expect pkg-config --exact-version "$(sed -n "s/^project('weir'.* version: '\([^']*\)'.*/\1/p" "$TREE/meson.build")" weir
