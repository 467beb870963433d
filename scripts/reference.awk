# SPDX-License-Identifier: MIT
# A public header as Markdown: the comment at its head, then each declaration with the comment above it.  A comment
# belongs to the declarations that follow it without a blank line; one that begins with ---- is a heading.

# The names that a piece of code declares, for its heading; of an unnamed enum the first constant.
function names_of(code,   found, name, list) {
	list = ""
	while (match(code, /(^|\n)(typedef [^\n]*|(struct|enum|union) weir_[a-z_0-9]+( \{|;)|enum \{[ \n\t]*WEIR_[A-Z_0-9]+|#define [A-Z_0-9]+|[^\n\t#}\/][^\n]*weir_[a-z_0-9]+\()/)) {
		found = substr(code, RSTART, RLENGTH)
		code = substr(code, RSTART + RLENGTH)
		sub(/^\n/, "", found)
		if (found ~ /^(struct|enum|union) .*( \{|;)$/) {
			name = found
			sub(/( \{|;)$/, "", name)
		} else if (found ~ /^enum/) {
			name = found
			sub(/.*[^A-Z_0-9]/, "", name)
		} else if (found ~ /^#define/) {
			name = substr(found, 9)
		} else if (found ~ /^typedef/) {
			name = found
			if (name ~ /\(\*/) { sub(/.*\(\*/, "", name); sub(/\).*/, "", name) }
			else { sub(/;.*/, "", name); sub(/.* /, "", name) }
		} else {
			name = found
			sub(/\($/, "", name)
			sub(/.*[ *(]/, "", name)
		}
		if (name !~ /^WEIR_(X|API)$/) list = list (list ? ", " : "") "`" name "`"
	}
	return list
}

# Indented lines of a comment are drawings and code: as they are.  In the others * and < are only characters.
function print_prose(text,   lines, n, i, line) {
	n = split(text, lines, "\n")
	for (i = 1; i <= n; i++) {
		line = lines[i]
		if (line !~ /^    /) {
			gsub(/\*/, "\\*", line)
			gsub(/</, "\\<", line)
		}
		if (line != "" || i < n) print line
	}
}

function flush_block() {
	if (code != "") {
		names = names_of(code)
		print (names ? "\n### " names "\n" : "") "\n```c\n" code "```"
		if (comment != "") print ""
	} else if (comment != "") {
		print ""
	}
	if (comment != "") print_prose(comment)
	code = comment = ""
}

function add_comment(line) {
	ended = line ~ /\*\/$/
	sub(/^\/\* ?/, "", line)
	sub(/[ \t]*\*\/$/, "", line)
	sub(/^ \* ?/, "", line)
	sub(/[ \t]+$/, "", line)
	if (line != "" || (comment != "" && !ended)) comment = comment line "\n"
	in_comment = !ended
	if (ended && comment ~ /^---- /) {
		sub(/^---- /, "", comment)
		sub(/\n.*/, "", comment)
		print "\n**" toupper(substr(comment, 1, 1)) substr(comment, 2) "**"
		comment = ""
	}
}

/SPDX-License-Identifier/ { next }
in_comment { add_comment($0); next }
depth == 0 && /^\/\*/ { flush_block(); add_comment($0); next }
depth == 0 && (/^#(ifn?def|endif|include|if|else)/ || /^extern "C"/ || /^#define WEIR_[A-Z_]+_H$/ || /^}$/) { flush_block(); next }
depth == 0 && /^#define (WEIR_API |WEIR__|weir_)/ { next }
depth == 0 && /^WEIR_API .*weir__/, /;$/ { next } # what the macro of a call hands its place to
depth == 0 && /^$/ { flush_block(); next }
{
	line = $0
	sub(/^WEIR_API /, "", line)
	if (line ~ /^static inline/) { in_body = 1; sub(/^static inline /, "", line); code = code line ";\n" }
	else if (!in_body) code = code line "\n"
	bare = line
	gsub(/\/\*.*/, "", bare)
	depth += gsub(/[{]/, "{", bare) - gsub(/[}]/, "}", bare)
	if (in_body && line ~ /^}/) in_body = 0
}
END { flush_block() }
