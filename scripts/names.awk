# SPDX-License-Identifier: MIT
# Names with () in comments and documents that occur nowhere in the code: awk -v known="NAME ..." -f names.awk FILES
# C files (also .S) are code and comments, .md files are text, others are all code.  known: names of others that the
# tree may speak of without using them.
BEGIN {
	n = split(known, word, /[ \n\t]+/)
	for (i = 1; i <= n; i++) used[word[i]] = 1
}
FNR == 1 {
	inside = 0
	kind = FILENAME ~ /\.md$/ ? "text" : FILENAME ~ /\.[chS]$/ ? "c" : "code"
}
kind == "text" { note($0); next }
kind == "code" { use($0); next }
{
	rest = $0
	code = ""
	while (rest != "") {
		if (inside) {
			at = index(rest, "*/")
			note(at ? substr(rest, 1, at) : rest)
			rest = at ? substr(rest, at + 2) : ""
			inside = !at
		} else if (match(rest, /"([^"\\]|\\.)*"|\/\*|\/\//)) {
			mark = substr(rest, RSTART, 2)
			code = code substr(rest, 1, RSTART - 1) " "
			if (mark == "//") {
				note(substr(rest, RSTART))
				rest = ""
			} else {
				inside = mark == "/*"
				rest = substr(rest, RSTART + RLENGTH)
			}
		} else {
			code = code rest
			rest = ""
		}
	}
	use(code)
}
# Every word of the code is a name that exists.
function use(text,    n, word, i) {
	n = split(text, word, /[^A-Za-z0-9_]+/)
	for (i = 1; i <= n; i++) used[word[i]] = 1
}
function note(text,    name) {
	while (match(text, /[A-Za-z_][A-Za-z0-9_.]*\(\)/)) {
		name = substr(text, RSTART, RLENGTH - 2)
		text = substr(text, RSTART + RLENGTH)
		sub(/.*\./, "", name)
		found[++count] = FILENAME ":" FNR ": " name "() is no name of the code"
		names[count] = name
	}
}
END {
	for (i = 1; i <= count; i++)
		if (!(names[i] in used)) print found[i]
}
