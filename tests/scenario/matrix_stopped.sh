# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Source, state, sink and dead letters, put back, removed, replaced or added to after a run that was stopped: each
# cell is exact, or refused with the reason and what to do.
CODE=0
"$TREE/tests/support/matrix" --only stopped >report || CODE=$?
[ "$CODE" = 0 ] || fail "$(grep -E 'WRONG|cells' report)"
