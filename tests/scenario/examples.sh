# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Every program in examples/ prints what examples/expected says, and one compiles as README.md says.
programs=$(dirname "$WEIR")/examples
for source in "$TREE"/examples/*.c; do
	name=$(basename "$source" .c)
	CODE=0
	"$programs/$name" >stdout 2>stderr </dev/null || CODE=$?
	no_crash
	expect_code 0
	expect test ! -s stderr
	expect diff "$TREE/examples/expected/$name.txt" stdout
done

expect cc -std=gnu17 -Wall -Wextra -Werror -I"$TREE/include" "$TREE/examples/squares.c" \
	"$(dirname "$WEIR")/lib/libweir.a" -luv -lpthread -o program
