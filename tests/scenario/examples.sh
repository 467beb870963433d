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

# until_ctrl_c ends on Ctrl-C, long before its jobs are done.  They take two seconds, in which a busy machine may not come
# to send it: then once more.
for _ in 1 2 3 4 5; do
	"$programs/until_ctrl_c" >stdout 2>stderr &
	pid=$!
	until grep -qE '^SigBlk:.*2$|^State:.*Z' "/proc/$pid/status"; do sleep 0.01; done # it waits for SIGINT, or ended
	kill -INT "$pid"
	CODE=0
	wait "$pid" || CODE=$?
	grep -q '^200 done: success$' stdout || break
done
expect_code 1
expect grep -q '^[0-9]* done: stopped by a signal$' stdout
