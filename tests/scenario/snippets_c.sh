# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The C code in README.md and docs/guide.md is in the program of examples/ it is said to be from, whole lines in a row.  So
# it compiles and runs (examples.sh).
for text in README.md docs/guide.md; do
	awk -v tree="$TREE" -v text="$text" '
		/^<!-- from examples\/[a-z_]+\.c -->$/ { file = $3; next }
		/^```c$/ { code = 1; block = "\n"; first = NR; next }
		/^```$/ && code {
			whole = "\n"
			while (file && (getline line < (tree "/" file)) > 0) whole = whole line "\n"
			if (file) close(tree "/" file)
			if (!index(whole, block)) {
				print text ":" first ": this is not in " (file ? file : "any file: say from which it is")
				bad = 1
			}
			snippets++
			code = 0
			file = ""
			next
		}
		code { block = block $0 "\n" }
		END { exit bad || !snippets }' "$TREE/$text" >>found || fail "$(cat found)"
done
