# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What `make install` puts somewhere else works there: the command finds its jq, a program finds headers and library.
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
static int hello(void *arg) { return puts(arg) < 0; }
int main(void) { return weir_run(NULL, hello, "hello"); }
C
expect cc -I"$prefix/include" program.c "$(find root -name libweir.a)" -luv -lpthread -o program
expect ./program
