# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The program in README.md compiles as it says there and does what it says.
sed -n '/^```c$/,/^```$/ { /^```/d; p }' "$TREE/README.md" >program.c
expect cc -std=gnu17 -Wall -Wextra -Werror -I"$TREE/include" program.c "$(dirname "$WEIR")/lib/libweir.a" -luv -lpthread \
	-o program
CODE=0
./program >stdout 2>stderr || CODE=$?
expect_code 0
expect_out '^333383335000$'
