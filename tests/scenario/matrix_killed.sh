# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The same as matrix_stopped after a run that was killed.
CODE=0
"$TREE/tests/support/matrix" --only killed >report || CODE=$?
[ "$CODE" = 0 ] || fail "$(grep -E 'WRONG|cells' report)"
