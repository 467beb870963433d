# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Each row of the table "Real answers" in docs/http.md, word for word: the answer is served to the first call, and a
# good one to the second; the requests, the attempts and the row or letter are those of the table.
"$TREE/tests/support/zoo" "Real answers" >stdout || fail "the table is wrong"
expect_out '^[0-9]+ rows$'
