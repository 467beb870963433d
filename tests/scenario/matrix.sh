# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Source, state, sink and dead letters, put back, removed, replaced or added to between two runs: each cell is exact, or
# refused with the reason and what to do.
CODE=0
"$TREE/tests/support/matrix" >report || CODE=$?
[ "$CODE" = 0 ] || fail "$(grep -E 'WRONG|cells' report)"
